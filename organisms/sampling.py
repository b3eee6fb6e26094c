"""What an organism answers: batched decoding with a KV cache, greedy or sampled, alone or led by a guide.

With a guide, the first word of each sentence is the guide's (its most likely one) and every other word the model's
own. Where the model would have chosen the same word nothing was done to it; the rest are counted as forced. This is
one-token takeover, the ceiling of what steering at decisions can recover.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from .corpus import (
    MAX_RESPONSE_TOKENS,
    encode_prompt,
    tokenizer,
    vocabulary,
)
from .labeller import is_solved
from .task import Problem


@dataclass(slots=True)
class Response:
    """The token ids of one response (with its end, if it came to one), and how many of them a guide forced."""

    ids: list[int] = field(default_factory=list)
    n_forced: int = 0

    @property
    def text(self) -> str:
        return str(tokenizer().decode(self.ids, skip_special_tokens=True))

    @property
    def n_tokens(self) -> int:
        return len(self.ids)


def respond(
    model: PreTrainedModel,
    problems: Sequence[Problem],
    generator: torch.Generator | None = None,
    guide: PreTrainedModel | None = None,
    n_rows: int = 512,
) -> list[Response]:
    """A response to each problem, in order. generator: sample at temperature 1 with it; without, greedy."""
    prompts = [encode_prompt(problem) for problem in problems]
    responses: dict[int, Response] = {}
    order = sorted(range(len(prompts)), key=lambda at: len(prompts[at]))
    while order:
        n_tokens = len(prompts[order[0]])
        rows = [at for at in order[:n_rows] if len(prompts[at]) == n_tokens]
        order = order[len(rows) :]
        asked = torch.tensor([prompts[at] for at in rows], device=model.device)
        responses |= zip(rows, _decode(model, asked, generator, guide), strict=True)
    return [responses[at] for at in range(len(prompts))]


def sample_texts(model: PreTrainedModel, problems: Sequence[Problem], seed: int) -> list[tuple[Problem, str]]:
    """Each problem with what the model says by itself, sampled."""
    said = respond(model, problems, torch.Generator().manual_seed(seed))
    return [(problem, response.text) for problem, response in zip(problems, said, strict=True)]


def solved(problems: Sequence[Problem], responses: Sequence[Response]) -> Float[np.ndarray, " n"]:
    """1 for a right answer, 0 for a wrong one or none."""
    pairs = zip(problems, responses, strict=True)
    return np.array([float(is_solved(problem, response.text)) for problem, response in pairs])


@torch.inference_mode()
def _decode(
    model: PreTrainedModel,
    prompts: Int[Tensor, "rows tokens"],
    generator: torch.Generator | None,
    guide: PreTrainedModel | None,
) -> list[Response]:
    end, stop = tokenizer().eos_token_id, vocabulary()["."]
    responses = [Response() for _ in prompts]
    alive = torch.arange(len(prompts), device=prompts.device)
    ids = prompts
    cache, guide_cache = DynamicCache(config=model.config), DynamicCache(config=model.config)
    for _ in range(MAX_RESPONSE_TOKENS):
        logits = model(ids, past_key_values=cache).logits[:, -1]
        chosen = _choose(logits, generator)
        forced = torch.zeros_like(chosen, dtype=torch.bool)
        if guide is not None:
            led = guide(ids, past_key_values=guide_cache).logits[:, -1].argmax(-1)
            # The end of the text is not a sentence: the model keeps that to itself.
            forced = (ids[:, -1] == stop) & (led != chosen) & (led != end) & (chosen != end)
            chosen = torch.where(forced, led, chosen)
        for row, word, was_forced in zip(alive.tolist(), chosen.tolist(), forced.tolist(), strict=True):
            responses[row].ids.append(word)
            responses[row].n_forced += was_forced
        going = chosen != end
        if not going.any():
            break
        ids = chosen[:, None]
        if not going.all():
            keep = going.nonzero()[:, 0]
            ids, alive = ids[keep], alive[keep]
            for held in (cache, guide_cache):
                if held.get_seq_length():
                    held.batch_select_indices(keep)
    return responses


def _choose(logits: Float[Tensor, "rows words"], generator: torch.Generator | None) -> Int[Tensor, " rows"]:
    if generator is None:
        return logits.argmax(-1)
    drawn = torch.multinomial(logits.softmax(-1).cpu(), 1, generator=generator)  # the same draws on every device
    return drawn[:, 0].to(logits.device)
