"""Share the gap between a base and a trained model among two causes that can be exchanged one by one.

Every problem is answered four times: with neither cause changed, with the first, with the second, and with both. The
Shapley share of a cause is its gain, averaged over the two orders in which the causes can be changed (Shapley 1953):

    gap = both - neither        share of the first = ((first - neither) + (both - second)) / 2 gap

The two shares sum to 1; neither is clipped. `both - first - second + neither` is what the causes do only together, and
is split in equal parts. As with any share of a gap there is none where the interval of the gap holds 0; otherwise fewer
than 2.5% of the resamples have a gap on the other side of 0, and these count as beyond the ends (Fieller 1954). The
resamples are those of `accuracy_draws`, made-up groups included.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np
from jaxtyping import Float

from .accuracy import N_DRAWS, Solved, accuracy_draws, n_groups
from .interval import Interval
from .resampling import LEVEL, Groups, Seed, percentile_ends


@dataclass(frozen=True, slots=True)
class ShapleyShares:
    """A gap, what each cause gains of it alone, and the share of each.

    Attributes:
        gap: Accuracy with both causes changed, less that with neither.
        first_alone: Gain of the first cause where the second is not changed.
        second_alone: Gain of the second where the first is not changed.
        interaction: What the gap is above the two together.
        first: Shapley share of the first cause; NaN where there is no gap.
        second: Shapley share of the second; NaN where there is no gap.
    """

    gap: Interval
    first_alone: Interval
    second_alone: Interval
    interaction: Interval
    first: Interval
    second: Interval


def shapley_shares_over_groups(
    neither: Solved,
    first: Solved,
    second: Solved,
    both: Solved,
    groups: Groups | None = None,
    seed: Seed = 0,
    n_resamples: int = N_DRAWS,
    level: float = LEVEL,
) -> ShapleyShares:
    """Estimate the Shapley shares of two causes of a gap, with intervals over groups.

    Args:
        neither: What was made of each question (or the share of several runs that solved it) with neither changed.
        first: The same with the first cause changed.
        second: The same with the second changed.
        both: The same with both changed.
        groups: The problem of each question; None: each is one of its own.
        seed: Of the resamples.
        n_resamples: Resamples to draw.
        level: Of the intervals.

    Returns:
        Gap, gains and shares.

    Raises:
        ValueError: The four differ in their number of questions, or there are fewer than two groups.
    """
    outcomes = [neither, first, second, both]
    n = n_groups(len(neither), groups)
    means = np.array([[float(np.mean(outcome)) for outcome in outcomes]])
    draws = np.concatenate([means, accuracy_draws(outcomes, groups, seed, n_resamples)])  # the estimate comes first
    with_neither, with_first, with_second, with_both = draws.T
    gap = with_both - with_neither
    first_gain = (with_first - with_neither + with_both - with_second) / 2
    return ShapleyShares(
        gap=_interval(gap, n, level),
        first_alone=_interval(with_first - with_neither, n, level),
        second_alone=_interval(with_second - with_neither, n, level),
        interaction=_interval(gap - (with_first - with_neither) - (with_second - with_neither), n, level),
        first=_share(first_gain, gap, n, level),
        second=_share(gap - first_gain, gap, n, level),
    )


def _interval(draws: Float[np.ndarray, " draws"], n: int, level: float) -> Interval:
    return Interval(float(draws[0]), *percentile_ends(draws[1:], level), n)


def _share(gains: Float[np.ndarray, " draws"], gaps: Float[np.ndarray, " draws"], n: int, level: float) -> Interval:
    """Divide gains by gaps; unknown where the interval of the gap holds 0."""
    low, high = percentile_ends(gaps[1:], level)
    if low <= 0 <= high:
        return Interval(nan, nan, nan, n)
    is_shown = np.sign(gaps[1:]) == np.sign(gaps[0])
    shares = np.divide(gains[1:], gaps[1:], out=np.zeros(len(gains) - 1), where=is_shown)
    outside = round((1 - level) / 2, 12)
    return Interval(
        float(gains[0] / gaps[0]),
        float(np.quantile(np.where(is_shown, shares, -np.inf), outside, method="inverted_cdf")),
        float(np.quantile(np.where(is_shown, shares, np.inf), 1 - outside, method="inverted_cdf")),
        n,
    )
