"""Estimate accuracies and how they differ between arms that answered the same questions, over resampled groups.

Groups are resampled for all arms together (a paired bootstrap; a problem's questions stay together). Two made-up
groups, spread evenly over all outcomes that a question can have, are in the pool that is drawn from: they leave ratios
of differences as they are, and keep an interval from shrinking to a point where an arm differs from another on a
handful of questions (Agresti & Min 2005 do the same for one difference of pairs). Without them intervals of the gap
recovered, meant to cover 95%, covered 71% in the worst of 336 simulated cases, an arm that is the base but for a few
questions; with them 92% to 99%.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float

from .interval import Interval
from .resampling import LEVEL, Groups, Seed, bootstrap_counts, percentile_ends, sum_by_group

# Whether each question was solved, or the share of several runs that solved it.
Solved: TypeAlias = Bool[np.ndarray, " n_questions"] | Float[np.ndarray, " n_questions"]

N_DRAWS = 10_000
MADE_UP = 2.0  # groups added to the pool


def accuracy_draws(
    arms: Sequence[Solved], groups: Groups | None = None, seed: Seed = 0, n_resamples: int = N_DRAWS
) -> Float[np.ndarray, "n_resamples n_arms"]:
    """Compute the accuracy of several arms in each resample of the groups, with two made-up groups in the pool.

    Args:
        arms: What each arm made of the same questions.
        groups: The problem of each question; None: each is one of its own.
        seed: Of the resamples.
        n_resamples: Resamples to draw.

    Returns:
        One row for each resample.

    Raises:
        ValueError: Arms differ in their number of questions, or there are fewer than two groups.
    """
    sums = _sums(arms, groups)
    kinds, times = np.unique(sums, axis=0, return_counts=True)
    outcomes = np.array([[1.0, *(outcome >> arm & 1 for arm in range(len(arms)))] for outcome in range(2 ** len(arms))])
    weights = np.concatenate([times, np.full(len(outcomes), MADE_UP / len(outcomes))])
    sums_drawn = bootstrap_counts(len(sums), n_resamples, seed, weights) @ np.concatenate([kinds, outcomes])
    accuracies: Float[np.ndarray, "n_resamples n_arms"] = sums_drawn[:, 1:] / sums_drawn[:, :1]
    return accuracies


def accuracy_over_groups(
    solved: Solved, groups: Groups | None = None, seed: Seed = 0, n_resamples: int = N_DRAWS, level: float = LEVEL
) -> Interval:
    """Estimate the share of questions solved, with an interval over groups.

    Args:
        solved: What the arm made of each question.
        groups: The problem of each question; None: each is one of its own.
        seed: Of the resamples.
        n_resamples: Resamples to draw.
        level: Of the interval.

    Returns:
        The accuracy; n counts the groups.

    Raises:
        ValueError: There are fewer than two groups.
    """
    draws = accuracy_draws([solved], groups, seed, n_resamples)[:, 0]
    return Interval(float(np.mean(solved)), *percentile_ends(draws, level), n_groups(len(solved), groups))


def accuracy_difference_over_groups(
    arm: Solved,
    other: Solved,
    groups: Groups | None = None,
    seed: Seed = 0,
    n_resamples: int = N_DRAWS,
    level: float = LEVEL,
) -> Interval:
    """Estimate by how much one accuracy is above another, questions paired, groups resampled for both together.

    Args:
        arm: What the arm made of each question.
        other: What the arm that it is compared with made of it.
        groups: The problem of each question; None: each is one of its own.
        seed: Of the resamples.
        n_resamples: Resamples to draw.
        level: Of the interval.

    Returns:
        The difference, positive where `arm` is better; n counts the groups.

    Raises:
        ValueError: The arms differ in their number of questions, or there are fewer than two groups.
    """
    draws = accuracy_draws([arm, other], groups, seed, n_resamples)
    ends = percentile_ends(draws[:, 0] - draws[:, 1], level)
    return Interval(float(np.mean(arm) - np.mean(other)), *ends, n_groups(len(arm), groups))


def n_groups(n_questions: int, groups: Groups | None) -> int:
    """Count the groups; each question is one of its own where none are named."""
    return n_questions if groups is None else len(np.unique(np.asarray(groups)))


def _sums(arms: Sequence[Solved], groups: Groups | None) -> Float[np.ndarray, "n_groups n_questions_and_solved"]:
    sizes = sorted({len(arm) for arm in arms} | ({len(groups)} if groups is not None else set()))
    if len(sizes) != 1:
        raise ValueError(
            f"arms are compared on the same questions, and these have {' and '.join(map(str, sizes))} of them; "
            "measure them on the questions that all have answered"
        )
    by_question = np.stack([np.ones(sizes[0]), *(np.asarray(arm, dtype=np.float64) for arm in arms)], axis=1)
    return sum_by_group(by_question, groups)
