"""Compare two curves of the same problems, point by point, with intervals and a band that holds for all points at once.

    difference D(k) = mean over problems of second(k) - first(k)
    band            D(k) -/+ c s(k),    c: 95% quantile over resamples of the largest |draw(k) - D(k)| / s(k) of all k

Problems are resampled for both curves together (a paired bootstrap). Four made-up problems of weight 1/2 each, of which
neither, one or both curves are 1 throughout, are in the pool that is drawn from, as in `accuracy.py`: they keep bands
from shrinking to nothing where all problems but a few are alike, as they are at large k. Intervals of one point are
percentiles, the band is the sup-t band of `maximum.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from .accuracy import MADE_UP
from .interval import Interval
from .maximum import simultaneous_band
from .resampling import LEVEL, Groups, Seed, bootstrap_counts, sum_by_group

N_DRAWS = 4000
AT_ONCE = 500  # resamples whose counts are held in memory together

Curves = Float[np.ndarray, "n_observations n_points"]


@dataclass(frozen=True, eq=False, slots=True)
class PairedCurves:
    """Two mean curves and their difference, one interval a point."""

    first: list[Interval]
    second: list[Interval]
    difference: list[Interval]  # second less first, for one point looked at alone
    first_band: list[Interval]  # for all points at once
    second_band: list[Interval]
    difference_band: list[Interval]


def paired_curves_over_groups(
    first: Curves, second: Curves, groups: Groups | None = None, seed: Seed = 0, n_resamples: int = N_DRAWS
) -> PairedCurves:
    """Estimate two mean curves and their difference, with intervals over groups.

    Args:
        first: A curve for each observation, between 0 and 1.
        second: Another one for each of the same observations.
        groups: The problem of each observation; None: each is one of its own.
        seed: Of the resamples.
        n_resamples: Resamples to draw.

    Returns:
        Means and difference at each point, with intervals of the point alone and bands of all points.

    Raises:
        ValueError: The curves differ in their shape, or there are fewer than two groups.
    """
    if first.shape != second.shape:
        raise ValueError(
            f"curves are compared at the same points, and these have the shapes {first.shape}, {second.shape}"
        )
    n_points = first.shape[1]
    sums = sum_by_group(np.concatenate([np.ones((len(first), 1)), first, second], axis=1), groups)
    made_up = [[1.0, *[float(one)] * n_points, *[float(other)] * n_points] for one in (0, 1) for other in (0, 1)]
    pool = np.concatenate([sums, made_up])
    weights = np.concatenate([np.ones(len(sums)), np.full(len(made_up), MADE_UP / len(made_up))])
    generator = np.random.default_rng(seed)
    draws = np.empty((n_resamples, 2 * n_points))
    for start in range(0, n_resamples, AT_ONCE):
        rows = slice(start, min(start + AT_ONCE, n_resamples))
        resampled = bootstrap_counts(len(sums), rows.stop - start, generator, weights) @ pool
        draws[rows] = resampled[:, 1:] / resampled[:, :1]
    first_draws, second_draws = draws[:, :n_points], draws[:, n_points:]
    means = sums[:, 1:].sum(axis=0) / sums[:, 0].sum()
    curves = (
        (means[:n_points], first_draws, (0.0, 1.0)),
        (means[n_points:], second_draws, (0.0, 1.0)),
        (means[n_points:] - means[:n_points], second_draws - first_draws, (-1.0, 1.0)),
    )
    n = len(sums)
    points = [_intervals(values, some, n) for values, some, _ in curves]
    bands = [simultaneous_band(values, some.T, n, bounds=bounds) for values, some, bounds in curves]
    return PairedCurves(*points, *bands)


def _intervals(
    values: Float[np.ndarray, " n_points"], draws: Float[np.ndarray, "n_resamples n_points"], n: int
) -> list[Interval]:
    """Make the percentile interval of each point."""
    ends = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return [Interval(float(value), float(low), float(high), n) for value, low, high in zip(values, *ends, strict=True)]
