"""Estimate how much of the gap between a base and a thinking model an arm recovers, over resampled groups.

    gap recovered R = (arm - base) / (thinking - base)        of accuracies on the same questions, never clipped

A ratio over a gap that may be nothing says nothing. While fewer than 2.5% of the resamples have thinking <= base, the
percentiles of arm - base - R (thinking - base) bound R from both sides, as Fieller's (1954) do; otherwise there is no
gap to recover, and no interval is given. The resamples are those of `accuracy_draws`, made-up groups included.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np
from jaxtyping import Float

from .accuracy import N_DRAWS, Solved, accuracy_difference_over_groups, accuracy_draws, n_groups
from .interval import Interval
from .resampling import LEVEL, Groups, Seed

OUTSIDE = 0.025  # of the resamples, on each side of an interval


@dataclass(frozen=True, slots=True)
class RecoveredGap:
    """The share of a gap that is recovered, and why there is none where there is none."""

    share: Interval  # NaN where there is no gap
    no_gap: str = ""  # empty where there is one


def gap_recovered_over_groups(
    base: Solved,
    thinking: Solved,
    arm: Solved,
    groups: Groups | None = None,
    seed: Seed = 0,
    n_resamples: int = N_DRAWS,
    level: float = LEVEL,
) -> RecoveredGap:
    """Estimate the share of the gap from base to thinking model that `arm` recovers, problems resampled together.

    Args:
        base: What the base made of each question.
        thinking: What the thinking model made of it.
        arm: What the arm made of it.
        groups: The problem of each question; None: each is one of its own.
        seed: Of the resamples.
        n_resamples: Resamples to draw.
        level: Of the interval.

    Returns:
        The share, below 0 where the arm is worse than the base; NaN with a reason where no gap is shown.

    Raises:
        ValueError: The three differ in their number of questions, or there are fewer than two groups.
    """
    draws = accuracy_draws([base, thinking, arm], groups, seed, n_resamples)
    gaps, gains = draws[:, 1] - draws[:, 0], draws[:, 2] - draws[:, 0]
    n, outside = n_groups(len(base), groups), round((1 - level) / 2, 12)
    if np.mean(gaps <= 0) >= outside:
        gap = accuracy_difference_over_groups(thinking, base, groups, seed, n_resamples, level)
        verb = "is worse than the base" if gap.high < 0 else "is not shown to be better than the base"
        return RecoveredGap(Interval(nan, nan, nan, n), f"the thinking model {verb}: {gap} (n = {len(base)})")
    value = (np.mean(arm) - np.mean(base)) / (np.mean(thinking) - np.mean(base))
    return RecoveredGap(_share(float(value), gains, gaps, n, outside))


def gap_excess_over_groups(
    base: Solved,
    thinking: Solved,
    arm: Solved,
    other: Solved,
    groups: Groups | None = None,
    seed: Seed = 0,
    n_resamples: int = N_DRAWS,
) -> Interval:
    """Estimate how much more of the gap `arm` recovers than another arm, problems resampled for all four together.

    Args:
        base: What the base made of each question.
        thinking: What the thinking model made of it.
        arm: What the arm made of it.
        other: What the arm that it is compared with made of it.
        groups: The problem of each question; None: each is one of its own.
        seed: Of the resamples.
        n_resamples: Resamples to draw.

    Returns:
        (arm - other) / (thinking - base); NaN where no gap is shown.

    Raises:
        ValueError: The four differ in their number of questions, or there are fewer than two groups.
    """
    draws = accuracy_draws([base, thinking, arm, other], groups, seed, n_resamples)
    gaps, n = draws[:, 1] - draws[:, 0], n_groups(len(base), groups)
    if np.mean(gaps <= 0) >= OUTSIDE:
        return Interval(nan, nan, nan, n)
    value = (np.mean(arm) - np.mean(other)) / (np.mean(thinking) - np.mean(base))
    return _share(float(value), draws[:, 2] - draws[:, 3], gaps, n, OUTSIDE)


def _share(
    value: float,
    gains: Float[np.ndarray, " n_resamples"],
    gaps: Float[np.ndarray, " n_resamples"],
    n: int,
    outside: float,
) -> Interval:
    """Compute the ends of a share of a gap; resamples without a gap lie beyond either."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = gains / gaps
    low = np.quantile(np.where(gaps > 0, ratios, -np.inf), outside, method="inverted_cdf")
    high = np.quantile(np.where(gaps > 0, ratios, np.inf), 1 - outside, method="inverted_cdf")
    return Interval(value, float(low), float(high), n)
