"""Estimate means, rates and differences of rates with intervals over resampled groups.

A rate is a sum over a sum (sentences that show a behaviour over sentences written): numerator and denominator of one
group are drawn together, since long responses count for more.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from .interval import Interval
from .proportion import wilson_ends
from .resampling import Groups, Seed, bootstrap_counts, percentile_ends, sum_by_group

Values = Float[np.ndarray, " n"]


def mean_over_groups(values: Values, seed: Seed = 0, groups: Groups | None = None) -> Interval:
    """Estimate the mean of values, with an interval over groups.

    Args:
        values: One value for each observation.
        seed: Of the resamples.
        groups: The group of each observation; None: each is one of its own.

    Returns:
        The mean; where all values are 0, or all 1, with the Wilson interval (see `ratio_over_groups`).

    Raises:
        ValueError: There is no group.
    """
    return ratio_over_groups(values, np.ones(len(values)), seed, groups)


def ratio_over_groups(
    numerators: Values, denominators: Values, seed: Seed = 0, groups: Groups | None = None
) -> Interval:
    """Estimate sum(numerators) / sum(denominators), with an interval over groups.

    Where every group has the same share of 0 or 1, no resample differs; there the Wilson interval of as many groups as
    have something below the line is given, since a group's parts are not independent. Resamples with nothing below are
    left out.

    Args:
        numerators: What each observation (or group) adds above the line.
        denominators: What it adds below the line.
        seed: Of the resamples.
        groups: The group of each observation; None: each is one of its own.

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
    numerators, denominators = _by_group([numerators, denominators], groups)
    n = len(numerators)
    value = float(np.sum(numerators) / np.sum(denominators))
    if np.array_equal(numerators, denominators) or not np.any(numerators):
        n_below = int(np.count_nonzero(denominators))  # a group with nothing below the line says nothing of the share
        return Interval(value, *wilson_ends(value * n_below, n_below), n)
    if n == 1:
        return Interval(value, n=1)
    counts = bootstrap_counts(n, seed=seed)
    above, below = counts @ numerators, counts @ denominators
    has_any = below != 0
    return Interval(value, *percentile_ends(above[has_any] / below[has_any]), n)


def ratio_difference_over_groups(
    numerators: Values,
    denominators: Values,
    other_numerators: Values,
    other_denominators: Values,
    seed: Seed = 0,
    groups: Groups | None = None,
) -> Interval:
    """Estimate by how much a ratio is above another of the same groups, which are resampled together (paired).

    Args:
        numerators: What each observation (or group) adds above the line.
        denominators: What it adds below the line, not negative.
        other_numerators: The same of the ratio that is subtracted.
        other_denominators: The same of the ratio that is subtracted.
        seed: Of the resamples.
        groups: The group of each observation; None: each is one of its own.

    Returns:
        The difference; a ratio with nothing below the line counts as 0. Its ends are unknown for a single group.

    Raises:
        ValueError: The four differ in length, or there is no group.
    """
    columns = [numerators, denominators, other_numerators, other_denominators]
    n = len(numerators)
    if not n or {len(column) for column in columns} != {n}:
        raise ValueError(f"paired ratios are of the same groups, not of {' and '.join(str(len(c)) for c in columns)}")
    columns = _by_group(columns, groups)
    n = len(columns[0])
    value = _ratio(np.sum(numerators), np.sum(denominators)) - _ratio(
        np.sum(other_numerators), np.sum(other_denominators)
    )
    if n == 1:
        return Interval(float(value), n=1)
    above, below, other_above, other_below = (bootstrap_counts(n, seed=seed) @ column for column in columns)
    return Interval(float(value), *percentile_ends(_ratio(above, below) - _ratio(other_above, other_below)), n)


def ratio_quotient_over_groups(
    numerators: Values,
    denominators: Values,
    other_numerators: Values,
    other_denominators: Values,
    seed: Seed = 0,
    groups: Groups | None = None,
) -> Interval:
    """Estimate how many times another ratio of the same groups a ratio is; groups are resampled together (paired).

    Args:
        numerators: What each observation (or group) adds above the line.
        denominators: What it adds below the line, not negative.
        other_numerators: The same of the ratio that is divided by.
        other_denominators: The same of the ratio that is divided by.
        seed: Of the resamples.
        groups: The group of each observation; None: each is one of its own.

    Returns:
        The quotient; NaN where a ratio has nothing below the line or the second one is 0. Resamples of which this is so
        are left out; its ends are unknown for a single group.

    Raises:
        ValueError: The four differ in length, or there is no group.
    """
    columns = [numerators, denominators, other_numerators, other_denominators]
    n = len(numerators)
    if not n or {len(column) for column in columns} != {n}:
        raise ValueError(f"paired ratios are of the same groups, not of {' and '.join(str(len(c)) for c in columns)}")
    columns = _by_group(columns, groups)
    n = len(columns[0])
    resampled = np.ones((1, n)) if n == 1 else np.concatenate([np.ones((1, n)), bootstrap_counts(n, seed=seed)])
    above, below, other_above, other_below = (resampled @ column for column in columns)
    with np.errstate(divide="ignore", invalid="ignore"):
        quotients = (above / below) / (other_above / other_below)
    value = float(quotients[0]) if np.isfinite(quotients[0]) else float("nan")
    return Interval(value, *percentile_ends(quotients[1:]), n)


def _by_group(columns: Sequence[Values], groups: Groups | None) -> list[Values]:
    if groups is None:
        return list(columns)
    return list(sum_by_group(np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=1), groups).T)


def _ratio(above: Float[np.ndarray, "*n"], below: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    ratios: Float[np.ndarray, "*n"] = np.divide(
        above, below, out=np.zeros_like(above, dtype=np.float64), where=below > 0
    )
    return ratios
