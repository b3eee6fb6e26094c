"""What an organism answers, greedily or sampled, alone or led by a guide.

With a guide, the first word of each sentence is the guide's (its most likely one) and every other word the model's
own. Where the model would have chosen the same word nothing was done to it; the rest are counted as forced. This is
one-token takeover, the ceiling of what steering at decisions can recover.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from transformers import PreTrainedModel

from ..generation import CachedModel, Change, Follower, Sampling, StepState, generate
from ..models import wrap
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
    seed: int | None = None,
    guide: PreTrainedModel | None = None,
    n_rows: int = 512,
) -> list[Response]:
    """Write one response to each problem.

    Args:
        model: The organism.
        problems: What it is asked. Equal problems get responses of their own when sampled.
        seed: Sample at temperature 1 with random numbers of this seed, each row with its own; None: greedily.
        guide: Whose words begin the sentences; None: the organism's own.
        n_rows: Problems that are run together; results do not depend on it.

    Returns:
        The responses, in the order of the problems.
    """
    prompts = [encode_prompt(problem) for problem in problems]
    takeover = None if guide is None else _SentenceStarts(len(prompts))

    def follow(writer: CachedModel, places: Sequence[int]) -> Follower:
        assert guide is not None
        return CachedModel(wrap(guide, tokenizer(), name="guide"), [prompts[place] for place in places])

    written = generate(
        wrap(model, tokenizer(), name="organism"),
        prompts,
        Sampling(temperature=0.0 if seed is None else 1.0, top_p=1.0, max_new_tokens=MAX_RESPONSE_TOKENS),
        seed=seed or 0,
        n_rows=n_rows,
        follower_of=None if guide is None else follow,
        interventions=() if takeover is None else (takeover,),
    )
    n_forced = [0] * len(prompts) if takeover is None else takeover.n_forced.tolist()
    return [Response(ids, n) for ids, n in zip(written, n_forced, strict=True)]


def sample_texts(model: PreTrainedModel, problems: Sequence[Problem], seed: int) -> list[tuple[Problem, str]]:
    """Pair each problem with what the model writes by itself, sampled."""
    responses = respond(model, problems, seed)
    return [(problem, response.text) for problem, response in zip(problems, responses, strict=True)]


def solved(problems: Sequence[Problem], responses: Sequence[Response]) -> Float[np.ndarray, " n"]:
    """1 for a right answer, 0 for a wrong one or none."""
    pairs = zip(problems, responses, strict=True)
    return np.array([float(is_solved(problem, response.text)) for problem, response in pairs])


class _SentenceStarts:
    """The intervention of a guide: takes over the first word of each sentence, and counts where that made a change."""

    def __init__(self, n_problems: int) -> None:
        self.n_forced = torch.zeros(n_problems, dtype=torch.long)
        self._end, self._stop = tokenizer().eos_token_id, vocabulary()["."]

    def __call__(self, state: StepState) -> Change | None:
        starts = (state.last_ids == self._stop).nonzero()[:, 0]
        if not len(starts):
            return None
        words, guided = state.chosen()[starts], state.follower_likeliest()[starts]
        # The end of the text is not a sentence: the model keeps that to itself.
        is_forced = (guided != words) & (guided != self._end) & (words != self._end)
        rows = starts[is_forced]
        self.n_forced[state.rows[rows].cpu()] += 1
        return Change(rows, tokens=guided[is_forced])
