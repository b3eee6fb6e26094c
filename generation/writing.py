"""Write answers to prompts.

Every row draws with random numbers of its own, from the seed and its place in the list of prompts: the same whatever
the batch, and the same under every steering. So two conditions differ by what was done to the model and not by luck.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..models import LanguageModel
from ..traces import Template, Trace, encode
from ..traces.thoughts import TAG, ending_opener
from .loop import generate
from .sampling import Sampling
from .vocabulary import end_tokens

MAX_OPENER_TOKENS = 16  # of a prompt's end, that may be the tag of thoughts and lines after it


@dataclass(frozen=True, slots=True)
class Written:
    """One response."""

    text: str
    n_tokens: int
    is_truncated: bool  # cut off at the limit, with no end of its own
    opener: str = ""  # the tag of thoughts that the prompt ended in: the response does not show it
    tokens: tuple[int, ...] = ()  # ids, the one that ended it last

    @property
    def graded_text(self) -> str:
        """The response with the tag that opens its thoughts, as graders read it."""
        return self.opener + self.text


def encode_prompts(
    model: LanguageModel, prompts: Sequence[str], template: Template = "auto", system: str = ""
) -> list[list[int]]:
    """Encode prompts, each up to where its response begins.

    Args:
        model: Whose tokenizer and chat template are used.
        prompts: The questions.
        template: `auto`, `chat` or `plain`.
        system: What the system is told, before each of them.

    Returns:
        The token ids of each prompt.
    """
    traces = [Trace(f"prompt-{number}", prompt, "") for number, prompt in enumerate(prompts)]
    return [encoded.token_ids.tolist() for encoded in encode(model, traces, template=template, system=system)]


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
    openers = thought_openers(model, prompts)
    return [_written(model, tokens, stops, opener) for tokens, opener in zip(responses, openers, strict=True)]


def thought_openers(model: LanguageModel, prompts: Sequence[Sequence[int]]) -> list[str]:
    """Find the tag of thoughts that each prompt ends in, as chat templates of thinking models write it.

    Args:
        model: Whose tokens they are.
        prompts: Token ids of each prompt.

    Returns:
        The tags; empty for a prompt that opens no thoughts, and where the tags are special tokens, which are left out
        of what is written.
    """
    if any(TAG.fullmatch(token) for token in model.tokenizer.all_special_tokens):
        return [""] * len(prompts)
    ends = [model.tokenizer.decode(list(prompt)[-MAX_OPENER_TOKENS:], skip_special_tokens=False) for prompt in prompts]
    return [ending_opener(str(end)) for end in ends]


def _written(model: LanguageModel, tokens: list[int], stops: set[int], opener: str) -> Written:
    has_ended = bool(tokens) and tokens[-1] in stops
    text = model.tokenizer.decode(
        tokens[:-1] if has_ended else tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    return Written(str(text), len(tokens), not has_ended, opener, tuple(tokens))
