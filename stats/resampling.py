"""Resample groups with replacement, and read percentile intervals off the resamples.

Questions of one problem, sentences of one response and spans of one trace are alike: counted as independent, they make
intervals too narrow. So it is their group (usually the problem) that is drawn. A resample is a row of counts, how often
each group was drawn; no data are copied, and a sum over the resample is the product of counts and sums by group:

    counts ~ Multinomial(number of groups, weights / sum(weights))        sums of the resamples = counts @ sums by group

(Efron & Tibshirani 1993, chapters 6, 8 and 13.)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int

N_RESAMPLES = 2000
LEVEL = 0.95  # of every interval, unless another is asked for

Groups: TypeAlias = Sequence[str] | Sequence[int] | Int[np.ndarray, " n"]  # the group of each observation
Seed: TypeAlias = int | Sequence[int] | np.random.Generator


def bootstrap_counts(
    n_groups: int,
    n_resamples: int = N_RESAMPLES,
    seed: Seed = 0,
    weights: Float[np.ndarray, " n_kinds"] | None = None,
) -> Float[np.ndarray, "n_resamples n_kinds"]:
    """Draw how often each group occurs in each resample of as many groups.

    Args:
        n_groups: Groups that a resample draws, with replacement.
        n_resamples: Resamples to draw.
        seed: A seed, or a generator to go on drawing from.
        weights: For groups that are gathered into kinds: how many groups are of each kind, or how much each kind
            weighs. Default: each group is a kind of its own.

    Returns:
        Counts as floats; each row sums to `n_groups`. Read-only where it may be shared with another caller.

    Raises:
        ValueError: There are fewer than two groups, or no resample is asked for.
    """
    if n_groups < 2:
        raise ValueError(f"an interval needs at least two groups, and there {_are(n_groups)}")
    if n_resamples < 1:
        raise ValueError(f"an interval needs at least one resample, not {n_resamples}")
    if weights is None and isinstance(seed, int):
        return _uniform_counts(n_groups, n_resamples, seed)
    weights = np.ones(n_groups) if weights is None else weights
    counts = np.random.default_rng(seed).multinomial(n_groups, weights / weights.sum(), size=n_resamples)
    return counts.astype(np.float64)


def sum_by_group(
    columns: Float[np.ndarray, "n n_columns"], groups: Groups | None
) -> Float[np.ndarray, "n_groups n_columns"]:
    """Sum the rows of each group, groups in sorted order.

    Args:
        columns: One row for each observation.
        groups: The group of each observation; None: each is one of its own.

    Returns:
        One row for each group.

    Raises:
        ValueError: `groups` is not as long as the columns.
    """
    if groups is None:
        return columns
    if len(groups) != len(columns):
        raise ValueError(f"each observation has one group, and there are {len(columns)} and {len(groups)} of them")
    _, number = np.unique(np.asarray(groups), return_inverse=True)
    return np.stack([np.bincount(number, column) for column in columns.T], axis=1)


def percentile_ends(draws: Float[np.ndarray, " n_resamples"], level: float = LEVEL) -> tuple[float, float]:
    """Return the percentiles that hold the middle of the finite draws.

    Args:
        draws: A figure in each resample; NaN and infinities are left out.
        level: Share of the draws between the ends.

    Returns:
        The lower and the upper end; NaN where no draw is finite.
    """
    finite = draws[np.isfinite(draws)]
    if not len(finite):
        return float("nan"), float("nan")
    outside = round((1 - level) / 2, 12)  # 0.025 and not 0.025000000000000022
    low, high = np.quantile(finite, [outside, 1 - outside])
    return float(low), float(high)


@lru_cache(maxsize=4)
def _uniform_counts(n_groups: int, n_resamples: int, seed: int) -> Float[np.ndarray, "n_resamples n_groups"]:
    """Draw counts of equally likely groups; remembered, since many figures are of the same problems."""
    chances = np.full(n_groups, 1 / n_groups)
    counts = np.random.default_rng(seed).multinomial(n_groups, chances, size=n_resamples).astype(np.float64)
    counts.flags.writeable = False
    return counts


def _are(number: int) -> str:
    return "is 1" if number == 1 else f"are {number}"
