"""Estimate means, rates and differences of rates with intervals over resampled groups.

A rate is a sum over a sum (sentences that show a behaviour over sentences written): numerator and denominator of one
group are drawn together, since long responses count for more.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from .interval import Interval
from .proportion import wilson_ends
from .resampling import Seed, bootstrap_counts, percentile_ends

ByGroup = Float[np.ndarray, " n_groups"]


def mean_over_groups(values: ByGroup, seed: Seed = 0) -> Interval:
    """Estimate the mean of one value a group, with an interval over groups.

    Args:
        values: One value for each group.
        seed: Of the resamples.

    Returns:
        The mean; where all values are 0, or all 1, with the Wilson interval (see `ratio_over_groups`).

    Raises:
        ValueError: There is no group.
    """
    return ratio_over_groups(values, np.ones(len(values)), seed)


def ratio_over_groups(numerators: ByGroup, denominators: ByGroup, seed: Seed = 0) -> Interval:
    """Estimate sum(numerators) / sum(denominators), with an interval over groups.

    Where every group has the same share of 0 or 1, no resample differs; there the Wilson interval of as many groups is
    given, since a group's parts are not independent. Resamples with nothing below are left out.

    Args:
        numerators: The sum of each group above the line (`sum_by_group` makes it).
        denominators: The sum of each group below the line.
        seed: Of the resamples.

    Returns:
        The ratio; its ends are unknown (NaN) where a single group says nothing of how groups differ.

    Raises:
        ValueError: The two differ in length, there is no group, or all denominators sum to 0.
    """
    n = len(numerators)
    if len(denominators) != n:
        raise ValueError(f"a ratio has a numerator and a denominator a group, not {n} and {len(denominators)}")
    if not n or not np.sum(denominators):
        raise ValueError("a ratio needs a group with something below the line, and there is none")
    value = float(np.sum(numerators) / np.sum(denominators))
    if np.array_equal(numerators, denominators) or not np.any(numerators):
        return Interval(value, *wilson_ends(value * n, n), n)
    if n == 1:
        return Interval(value, n=1)
    counts = bootstrap_counts(n, seed=seed)
    above, below = counts @ numerators, counts @ denominators
    has_any = below != 0
    return Interval(value, *percentile_ends(above[has_any] / below[has_any]), n)


def ratio_difference_over_groups(
    numerators: ByGroup, denominators: ByGroup, other_numerators: ByGroup, other_denominators: ByGroup, seed: Seed = 0
) -> Interval:
    """Estimate by how much a ratio is above another of the same groups, which are resampled together (paired).

    Args:
        numerators: The sum of each group above the line.
        denominators: The sum of each group below the line, not negative.
        other_numerators: The same of the ratio that is subtracted.
        other_denominators: The same of the ratio that is subtracted.
        seed: Of the resamples.

    Returns:
        The difference; a ratio with nothing below the line counts as 0. Its ends are unknown for a single group.

    Raises:
        ValueError: The four differ in length, or there is no group.
    """
    columns = [numerators, denominators, other_numerators, other_denominators]
    n = len(numerators)
    if not n or {len(column) for column in columns} != {n}:
        raise ValueError(f"paired ratios are of the same groups, not of {' and '.join(str(len(c)) for c in columns)}")
    value = _ratio(np.sum(numerators), np.sum(denominators)) - _ratio(
        np.sum(other_numerators), np.sum(other_denominators)
    )
    if n == 1:
        return Interval(float(value), n=1)
    above, below, other_above, other_below = (bootstrap_counts(n, seed=seed) @ column for column in columns)
    return Interval(float(value), *percentile_ends(_ratio(above, below) - _ratio(other_above, other_below)), n)


def _ratio(above: Float[np.ndarray, "*n"], below: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    ratios: Float[np.ndarray, "*n"] = np.divide(
        above, below, out=np.zeros_like(above, dtype=np.float64), where=below > 0
    )
    return ratios
