"""Pre-training of the base: right words everywhere, behaviours at the wrong times.

Two kinds of text, half and half, mixed in rounds:

1. habits: responses by many hands with habits of their own (`policy.habits`). All of it is learnt, the decisions too;
   this alone sets the policy of the base.
2. drill: long responses to problems with much to find, by a policy that goes through every step often. Only the content
   is learnt, so they teach no habit.

Colours and verdicts weigh three times as much as other words: a response needs them once or twice, and without that
the check is the one step that is not learnt in time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from transformers import PreTrainedModel

from ..corpus import Batch, batches, vocabulary
from ..policy import DRILL, habits, write
from ..task import COLOURS, Problem, problems
from .lesson import Lesson, make_lessons

LOOKED_UP_WEIGHT = 3.0


@dataclass(frozen=True, slots=True)
class PretrainSettings:
    """Hold how long the base is trained, on what, and how fast.

    Args:
        steps: Steps of the optimiser.
        texts: Texts of a step.
        batches: Steps whose texts are written together, so that little is padded.
        problems: How many problems the texts are about; the drill takes half as many of its own.
        learning_rate: At its peak.
        warmup_steps: Until the peak.
    """

    steps: int = 2600
    texts: int = 32
    batches: int = 8
    problems: int = 20_000
    learning_rate: float = 3e-3
    warmup_steps: int = 100


@cache
def _pools(seed: int, n_problems: int) -> tuple[list[Problem], list[Problem]]:
    """Draw training problems; and for the drill half as many with pairs to find in both ways."""
    return (
        list(islice(problems("train", seed), n_problems)),
        list(islice(problems("train", seed, families={"both": 1.0}), n_problems // 2)),
    )


def write_round(settings: PretrainSettings, seed: int, number: int) -> list[Lesson]:
    """The lessons of a round, in random order."""
    generator = np.random.default_rng([seed, number])
    plain, rich = _pools(seed, settings.problems)
    n_half = settings.texts * settings.batches // 2

    def sample(pool: list[Problem], n_texts: int) -> list[Problem]:
        return [pool[int(place)] for place in generator.integers(len(pool), size=n_texts)]

    looked_up = torch.tensor([vocabulary()[word] for word in (*COLOURS, "fine", "clash")])

    def weight(batch: Batch, learnt: Bool[Tensor, "texts tokens"]) -> Float[Tensor, "texts tokens"]:
        return learnt * torch.where(torch.isin(batch.ids, looked_up), LOOKED_UP_WEIGHT, 1.0)

    habitual = [(problem, write(problem, habits(generator), generator)) for problem in sample(plain, n_half)]
    drill = [(problem, write(problem, DRILL, generator)) for problem in sample(rich, n_half)]
    lessons = [
        *make_lessons([(b, weight(b, b.is_content | b.is_decision)) for b in batches(habitual, settings.texts)]),
        *make_lessons([(b, weight(b, b.is_content)) for b in batches(drill, settings.texts)]),
    ]
    return [lessons[int(place)] for place in generator.permutation(len(lessons))]


def lesson_of(settings: PretrainSettings, seed: int) -> Callable[[int], Lesson]:
    """Which lesson a step has: a function of the seed and the step's number alone."""

    @cache
    def round_of(number: int) -> list[Lesson]:
        return write_round(settings, seed, number)

    def of(step: int) -> Lesson:
        number, place = divmod(step, settings.batches)
        if place == 0:
            round_of.cache_clear()
        return round_of(number)[place]

    return of


def pretrain_gradients(
    model: PreTrainedModel, settings: PretrainSettings, seed: int
) -> Callable[[int], Mapping[str, float]]:
    """The gradients of each step, for `training.train`."""
    lesson = lesson_of(settings, seed)

    def gradients(step: int) -> Mapping[str, float]:
        loss = lesson(step).loss(model)
        torch.autograd.backward(loss)
        return {"loss": loss.item()}

    return gradients


def warmup_and_cosine(peak: float, warmup_steps: int, n_steps: int) -> Callable[[int], float]:
    """Learning rate of a step: half a cosine from the peak to a fiftieth of it, times a linear rise at the start."""

    def rate(step: int) -> float:
        fallen = 0.5 * (1 + np.cos(np.pi * step / n_steps))
        return float(peak * min(1.0, (step + 1) / warmup_steps) * (0.02 + 0.98 * fallen))

    return rate
