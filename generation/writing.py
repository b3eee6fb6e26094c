"""Write answers to prompts.

Every row draws with random numbers of its own, from the seed and its place in the list of prompts: the same whatever
the batch, and the same under every steering. So two conditions differ by what was done to the model and not by luck.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..models import LanguageModel
from ..traces import Template, Trace, encode
from .loop import generate
from .sampling import Sampling
from .vocabulary import end_tokens


@dataclass(frozen=True, slots=True)
class Written:
    """One response."""

    text: str
    n_tokens: int
    is_truncated: bool  # cut off at the limit, with no end of its own


def encode_prompts(model: LanguageModel, prompts: Sequence[str], template: Template = "auto") -> list[list[int]]:
    """Encode prompts, each up to where its response begins.

    Args:
        model: Whose tokenizer and chat template are used.
        prompts: The questions.
        template: `auto`, `chat` or `plain`.

    Returns:
        The token ids of each prompt.
    """
    traces = [Trace(f"prompt-{number}", prompt, "") for number, prompt in enumerate(prompts)]
    return [encoded.token_ids.tolist() for encoded in encode(model, traces, template=template)]


def write(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    *,
    seed: int = 0,
    n_rows: int = 128,
    numbers: Sequence[int] | None = None,
) -> list[Written]:
    """Write one response to each prompt. Steer the model around the call.

    Args:
        model: The model that writes.
        prompts: Token ids of each prompt.
        sampling: Greedy, or temperature and nucleus, and how many tokens at most.
        seed: Of the random numbers.
        n_rows: Prompts that are run together; results do not depend on it.
        numbers: Of the prompts, where they are some of many; random numbers go by them. Default: 0, 1, 2, ...

    Returns:
        The responses, in the order of the prompts.
    """
    stops = set(end_tokens(model))
    responses = generate(model, prompts, sampling, seed=seed, n_rows=n_rows, numbers=numbers)
    return [_written(model, tokens, stops) for tokens in responses]


def _written(model: LanguageModel, tokens: list[int], stops: set[int]) -> Written:
    has_ended = bool(tokens) and tokens[-1] in stops
    text = model.tokenizer.decode(
        tokens[:-1] if has_ended else tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    return Written(str(text), len(tokens), not has_ended)
