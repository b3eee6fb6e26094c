"""Training on one example: when is it memorised, and what is gained on other problems after that?

The example is memorised at the first checkpoint from which on nine of ten responses to it are right. What is gained on
test problems after that is no longer learnt from errors on the example. Where the accuracy on tests jumps is found
without regard to the example (`stats.change_point_over_groups`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from transformers import LlamaForCausalLM

from ...rundir import brief
from ...stats import Interval, accuracy_difference_over_groups, change_point_over_groups
from ..task import Problem
from ._cross_play import answer

N_SAMPLES = 64  # responses to the example
MEMORISED = 0.9


@dataclass(frozen=True, slots=True)
class MemorisingFigures:
    """Accuracy on the example and on tests along training; step 0 is the base.

    Attributes:
        steps: Of the checkpoints.
        example: Share of the responses to the example that solve it.
        tests: Accuracy on test problems.
        memorised: Step from which on the example is solved nearly always; None: it never is.
        gain_after: Accuracy on tests at the end, less that at this step; None where there is no such step, or nothing
            was read after it.
        change_point: Where the accuracy on tests jumps.
    """

    steps: tuple[int, ...]
    example: tuple[float, ...]
    tests: tuple[Interval, ...]
    memorised: int | None
    gain_after: Interval | None
    change_point: Interval

    __repr__ = brief


def memorising(
    load: Callable[[int], LlamaForCausalLM],
    steps: Sequence[int],
    example: Problem,
    tests: Sequence[Problem],
    n_samples: int,
    seed: int = 0,
) -> MemorisingFigures:
    """Measure checkpoints of a model that was trained on one example.

    Args:
        load: Returns the model at a step; 0: the base.
        steps: The checkpoints, ascending, from the base to the finished model.
        example: What it was trained on.
        tests: Unseen problems.
        n_samples: Responses to each of them.
        seed: Of the random numbers, the same at all steps.

    Returns:
        The figures.
    """
    on_example: list[float] = []
    curves: list[np.ndarray] = []
    intervals: list[Interval] = []
    for step in steps:
        model = load(step)
        on_example.append(float(answer(model, [example], N_SAMPLES, seed).solved[0]))
        answers = answer(model, tests, n_samples, seed)
        curves.append(answers.solved)
        intervals.append(answers.accuracy)
    groups = [problem.group for problem in tests]
    place = memorised_from(on_example)
    gain = None
    if place is not None and place < len(steps) - 1:
        gain = accuracy_difference_over_groups(curves[-1], curves[place], groups)
    return MemorisingFigures(
        steps=tuple(steps),
        example=tuple(on_example),
        tests=tuple(intervals),
        memorised=None if place is None else steps[place],
        gain_after=gain,
        change_point=change_point_over_groups(np.stack(curves, axis=1), list(steps), groups),
    )


def memorised_from(shares: Sequence[float]) -> int | None:
    """Find the first place from which on all shares are large.

    Args:
        shares: Of right responses to the example, along training.

    Returns:
        The place; None where the last share is small.
    """
    place = None
    for number in reversed(range(len(shares))):
        if shares[number] < MEMORISED:
            break
        place = number
    return place
