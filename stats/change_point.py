"""Find where a curve along training jumps from one level to another.

Of all places between two neighbouring steps, the one at which two constants fit the mean curve best (least squares;
Hinkley 1970). A curve that does not jump has such a place as well: what says so is an interval as wide as the curve.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from .interval import Interval
from .resampling import N_RESAMPLES, Groups, Seed, bootstrap_counts, percentile_ends, sum_by_group


def change_point_over_groups(
    values: Float[np.ndarray, "n n_steps"],
    steps: Sequence[float],
    groups: Groups | None = None,
    seed: Seed = 0,
    n_resamples: int = N_RESAMPLES,
) -> Interval:
    """Estimate where the mean of curves jumps, with an interval over groups.

    Args:
        values: One curve for each observation.
        steps: Where the curves are known, ascending.
        groups: The group of each observation; None: each is one of its own.
        seed: Of the resamples.
        n_resamples: Resamples to draw.

    Returns:
        The step of the jump: the middle between the last step before it and the first after it.

    Raises:
        ValueError: There are fewer than three steps, they do not ascend, or there are fewer than two groups.
    """
    places = np.asarray(steps, dtype=np.float64)
    if len(places) < 3 or (np.diff(places) <= 0).any() or values.shape[1] != len(places):
        raise ValueError(f"a jump is sought among three ascending steps or more, one a column, not {list(steps)}")
    sums = sum_by_group(np.column_stack([values, np.ones(len(values))]), groups)
    counts = np.concatenate([np.ones((1, len(sums))), bootstrap_counts(len(sums), n_resamples, seed)])
    totals = counts @ sums
    curves = totals[:, :-1] / totals[:, -1:]
    middles = (places[:-1] + places[1:]) / 2
    jumps = middles[_best_splits(curves)]
    return Interval(float(jumps[0]), *percentile_ends(jumps[1:]), len(sums))


def _best_splits(curves: Float[np.ndarray, "n_curves n_steps"]) -> Int[np.ndarray, " n_curves"]:
    """Number of the step after which each curve jumps: the split of most variance between its two parts."""
    n_steps = curves.shape[1]
    n_before = np.arange(1, n_steps)
    before = curves.cumsum(axis=1)[:, :-1]
    after = curves.sum(axis=1, keepdims=True) - before
    between = before**2 / n_before + after**2 / (n_steps - n_before)
    return np.asarray(between.argmax(axis=1))
