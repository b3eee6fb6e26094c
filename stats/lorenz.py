"""Measure how unevenly a quantity is spread over observations, with intervals over resampled groups.

    Lorenz curve L(p)   share of the total that the p least observations hold together
    Gini                1 - 2 * area under L: 0 where all are alike, near 1 where one holds all
    top share           1 - L(1 - t): what the t greatest observations hold

Observations are sorted once; a resample of groups weights each by how often its group was drawn. Between observations
the curve is straight, so a tie is shared evenly. (Lorenz 1905; Gini 1912.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from .interval import Interval
from .resampling import N_RESAMPLES, Groups, Seed, bootstrap_counts, percentile_ends

AT_ONCE = 2**24  # weights of resamples that are held in memory together


@dataclass(frozen=True, eq=False, slots=True)
class Lorenz:
    """How unevenly a quantity is spread."""

    gini: Interval
    curve: list[Interval]  # at each share of the observations that was asked for
    top: list[Interval]  # share of the total held by each share of the greatest


def lorenz_over_groups(
    values: Float[np.ndarray, " n"],
    groups: Groups | None = None,
    *,
    at: Sequence[float] = (),
    top: Sequence[float] = (),
    seed: Seed = 0,
    n_resamples: int = N_RESAMPLES,
) -> Lorenz:
    """Estimate Lorenz curve, Gini coefficient and top shares of values that are not negative.

    Args:
        values: One for each observation.
        groups: The group of each observation; None: each is one of its own.
        at: Shares of the observations at which the curve is given, 0 to 1.
        top: Shares of the greatest observations, 0 to 1.
        seed: Of the resamples.
        n_resamples: Resamples to draw.

    Returns:
        The three; NaN where all values are 0, without ends where there is one group.

    Raises:
        ValueError: There is no observation, a value is negative or NaN, or the groups are not as many.
    """
    if not len(values) or not np.all(values >= 0):
        raise ValueError("a Lorenz curve is of one value or more, none of them negative")
    of_each = np.arange(len(values)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    if len(of_each) != len(values):
        raise ValueError(f"each value has one group, and there are {len(values)} and {len(of_each)} of them")
    order = np.argsort(values, kind="stable")
    sorted_values, sorted_groups = values[order].astype(np.float64), of_each[order]
    n_groups = int(of_each.max()) + 1
    shares = np.array([*at, *(1 - share for share in top)], dtype=np.float64)
    measured = _measures(sorted_values, np.ones((1, len(values))), shares)[0]
    draws = np.full((1, len(measured)), np.nan)
    if n_groups > 1:
        draws = _draws(sorted_values, sorted_groups, shares, bootstrap_counts(n_groups, n_resamples, seed))
    intervals = [
        Interval(float(value), *percentile_ends(column), n_groups)
        for value, column in zip(measured, draws.T, strict=True)
    ]
    held = [Interval(1 - one.value, 1 - one.high, 1 - one.low, one.n) for one in intervals[1 + len(at) :]]
    return Lorenz(gini=intervals[0], curve=intervals[1 : 1 + len(at)], top=held)


def _draws(
    values: Float[np.ndarray, " n"],
    groups: Int[np.ndarray, " n"],
    shares: Float[np.ndarray, " n_shares"],
    counts: Float[np.ndarray, "n_resamples n_groups"],
) -> Float[np.ndarray, "n_resamples n_measures"]:
    step = max(1, AT_ONCE // len(values))
    parts = [
        _measures(values, counts[start : start + step][:, groups], shares) for start in range(0, len(counts), step)
    ]
    return np.concatenate(parts)


def _measures(
    values: Float[np.ndarray, " n"],
    weights: Float[np.ndarray, "rows n"],
    shares: Float[np.ndarray, " n_shares"],
) -> Float[np.ndarray, "rows n_measures"]:
    """Compute the Gini coefficient and the curve at some shares, for each row of weights; values ascend."""
    n_before = np.concatenate([np.zeros((len(weights), 1)), np.cumsum(weights, axis=1)], axis=1)
    held = np.concatenate([np.zeros((len(weights), 1)), np.cumsum(weights * values, axis=1)], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        across, up = n_before / n_before[:, -1:], held / held[:, -1:]
    gini = 1 - np.sum(np.diff(across, axis=1) * (up[:, 1:] + up[:, :-1]), axis=1)
    curve = np.array([np.interp(shares, one, other) for one, other in zip(across, up, strict=True)])
    return np.concatenate([gini[:, None], curve.reshape(len(weights), -1)], axis=1)
