"""Supervised fine-tuning of the base: on a mechanism that it has never seen, or on what an RL model says.

`sft` learns doubled problems from ideal responses: doubling is new, and so is the search through it. `sft-same` learns
ordinary problems from the right responses of the RL model, which use only what the base can do. Held side by side they
tell the effect of fine-tuning from that of a new mechanism. All words of a response are learnt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from transformers import PreTrainedModel

from ...rundir import InputError
from ..corpus import batches
from ..labeller import is_solved
from ..policy import IDEAL_DOUBLING, write
from ..sampling import sample_texts
from ..task import DOUBLES, Problem, problems
from .lesson import make_lessons


@dataclass(frozen=True, slots=True)
class DistillSettings:
    """steps of the optimiser, texts a step; problems: how many, each seen about steps * texts / problems times."""

    steps: int = 600
    texts: int = 32
    problems: int = 10_000
    learning_rate: float = 1e-3


def doubled_texts(n_problems: int, seed: int) -> list[tuple[Problem, str]]:
    """Ideal responses to doubled training problems."""
    generator = np.random.default_rng(seed)
    training_problems = islice(problems("train", seed, DOUBLES), n_problems)
    return [(problem, write(problem, IDEAL_DOUBLING, generator)) for problem in training_problems]


def right_texts(model: PreTrainedModel, n_problems: int, seed: int) -> list[tuple[Problem, str]]:
    """The model's own sampled responses to training problems, those with a right answer.

    Raises InputError if there are none.
    """
    training_problems = list(islice(problems("train", seed), n_problems))
    right = [
        (problem, text) for problem, text in sample_texts(model, training_problems, seed) if is_solved(problem, text)
    ]
    if not right:
        raise InputError(f"the model to learn from solves none of {n_problems} training problems: train it longer")
    return right


def distill_gradients(
    model: PreTrainedModel, texts: Sequence[tuple[Problem, str]], settings: DistillSettings, seed: int
) -> Callable[[int], Mapping[str, float]]:
    """The gradients of each step, for `training.train`. Batches are of like length, drawn by the step's number."""
    lessons = make_lessons([(b, (b.is_content | b.is_decision).float()) for b in batches(texts, settings.texts)])

    def gradients(step: int) -> Mapping[str, float]:
        epoch, place = divmod(step, len(lessons))
        order = np.random.default_rng([seed, epoch]).permutation(len(lessons))
        loss = lessons[int(order[place])].loss(model)
        torch.autograd.backward(loss)
        return {"loss": loss.item()}

    return gradients
