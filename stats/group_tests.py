"""Test differences of accuracy with whole groups exchanged, so that questions of one problem count together.

Two arms on the same questions (paired, sign flips): if neither is better, a group's difference could as well have had
the other sign. Two sets of groups (unpaired, permutation): if they do not differ, any of them could have been in either
set. The p-value is the share of all exchanges whose difference is at least as far from 0:

    D_g = solved by the arm - solved by the other, of group g        p = share of signs with |sum +-D_g| >= |sum D_g|

Both are exact where the exchanges can be counted: sums of sign flips are merged where they are equal, so whole numbers
are counted exactly for hundreds of groups, and then one question a group gives McNemar's exact test. Elsewhere
exchanges are drawn, and the one that was seen is counted among them (Phipson & Smyth 2010).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from jaxtyping import Float

from .accuracy import Solved
from .resampling import Groups, Seed, sum_by_group

N_EXCHANGES = 10_000  # drawn where they cannot all be counted
MOST_SUMS = 1 << 16  # different sums of sign flips that are counted
RELATIVE_TOLERANCE = 1e-9  # of sums that are equal but for rounding


@dataclass(frozen=True, slots=True)
class GroupTest:
    """A difference of two means and how likely one as far from 0 is if there is none."""

    difference: float
    p: float  # two-sided
    n: int  # groups
    is_exact: bool  # whether all exchanges were counted, or some drawn


def sign_flip_test_over_groups(
    arm: Solved, other: Solved, groups: Groups | None = None, seed: Seed = 0, n_flips: int = N_EXCHANGES
) -> GroupTest:
    """Test whether two arms that answered the same questions differ, by flipping the signs of whole groups.

    Args:
        arm: What the first arm made of each question: solved or not, or the share of several runs that solved it.
        other: What the second made of it.
        groups: The problem of each question; None: each is one of its own.
        seed: Of the flips, where they are drawn.
        n_flips: Flips to draw where they cannot all be counted.

    Returns:
        The difference of their means and its two-sided p-value.

    Raises:
        ValueError: The arms differ in their number of questions, or there are fewer than two groups.
    """
    if len(arm) != len(other):
        raise ValueError(f"arms are paired on the same questions, and these have {len(arm)} and {len(other)} of them")
    differences = np.asarray(arm, dtype=np.float64) - np.asarray(other, dtype=np.float64)
    by_group = sum_by_group(differences[:, None], groups)[:, 0]
    _check_groups(len(by_group))
    tolerance = RELATIVE_TOLERANCE * max(float(np.abs(by_group).sum()), 1e-300)
    reached = abs(float(by_group.sum())) - tolerance
    counted = _sums_of_flips(by_group[np.abs(by_group) > tolerance], tolerance)
    if counted is not None:
        sums, shares = counted
        p = min(1.0, float(shares[np.abs(sums) >= reached].sum()))
    else:
        signs = np.random.default_rng(seed).integers(2, size=(n_flips, len(by_group))) * 2 - 1
        p = (1 + int(np.sum(np.abs(signs @ by_group) >= reached))) / (1 + n_flips)
    return GroupTest(float(differences.mean()), p, len(by_group), counted is not None)


def permutation_test_over_groups(
    first: Solved,
    second: Solved,
    first_groups: Groups | None = None,
    second_groups: Groups | None = None,
    seed: Seed = 0,
    n_permutations: int = N_EXCHANGES,
) -> GroupTest:
    """Test whether the means of two sets of groups differ, by exchanging whole groups between the sets.

    Args:
        first: A value of each question of the first set.
        second: A value of each question of the second set.
        first_groups: The problem of each question of the first set; None: each is one of its own.
        second_groups: The problem of each question of the second set; no problem may be in both.
        seed: Of the permutations, where they are drawn.
        n_permutations: Permutations to draw where they cannot all be counted.

    Returns:
        The difference of their means, first minus second, and its two-sided p-value.

    Raises:
        ValueError: A group is in both sets, one of them is empty, or there are fewer than two groups in all.
    """
    if not len(first) or not len(second):
        raise ValueError(f"two sets are compared, and these have {len(first)} and {len(second)} questions")
    if first_groups is not None and second_groups is not None:
        shared = sorted(set(np.asarray(first_groups).tolist()) & set(np.asarray(second_groups).tolist()))
        if shared:
            raise ValueError(f"group {shared[0]!r} is in both sets: arms on the same groups are paired (sign flips)")
    sums = np.concatenate([_sums_and_sizes(first, first_groups), _sums_and_sizes(second, second_groups)])
    n, n_first = len(sums), len(_sums_and_sizes(first, first_groups))
    observed = float(np.mean(first) - np.mean(second))
    reached = abs(observed) - RELATIVE_TOLERANCE * max(float(np.abs(sums[:, 0]).max()), 1e-300)
    if comb(n, n_first) <= N_EXCHANGES:
        chosen = np.zeros((comb(n, n_first), n))
        for row, members in zip(chosen, combinations(range(n), n_first), strict=True):
            row[list(members)] = 1
        p = float(np.mean(np.abs(_differences(chosen, sums)) >= reached))
        return GroupTest(observed, p, n, True)
    generator = np.random.default_rng(seed)
    is_first = generator.permuted(np.tile(np.arange(n) < n_first, (n_permutations, 1)), axis=1).astype(np.float64)
    p = (1 + int(np.sum(np.abs(_differences(is_first, sums)) >= reached))) / (1 + n_permutations)
    return GroupTest(observed, p, n, False)


def _sums_of_flips(
    differences: Float[np.ndarray, " n_groups"], tolerance: float
) -> tuple[Float[np.ndarray, " n_sums"], Float[np.ndarray, " n_sums"]] | None:
    """Count the sums of all sign flips: each different sum, and the share of flips that give it; None if too many."""
    sums, shares = np.zeros(1), np.ones(1)
    for difference in differences:
        sums = np.concatenate([sums + difference, sums - difference])
        shares = np.concatenate([shares, shares]) / 2
        order = np.argsort(sums, kind="stable")
        sums, shares = sums[order], shares[order]
        starts = np.flatnonzero(np.diff(sums, prepend=-np.inf) > tolerance)
        sums, shares = sums[starts], np.add.reduceat(shares, starts)
        if len(sums) > MOST_SUMS:
            return None
    return sums, shares


def _sums_and_sizes(values: Solved, groups: Groups | None) -> Float[np.ndarray, "n_groups 2"]:
    return sum_by_group(np.stack([np.asarray(values, dtype=np.float64), np.ones(len(values))], axis=1), groups)


def _differences(
    is_first: Float[np.ndarray, "n_permutations n_groups"], sums: Float[np.ndarray, "n_groups 2"]
) -> Float[np.ndarray, " n_permutations"]:
    """Subtract the mean of the groups that are not chosen from that of those that are."""
    first = is_first @ sums
    second = sums.sum(axis=0) - first
    differences: Float[np.ndarray, " n_permutations"] = first[:, 0] / first[:, 1] - second[:, 0] / second[:, 1]
    return differences


def _check_groups(n: int) -> None:
    if n < 2:
        raise ValueError(f"a test over groups needs at least two of them, and there is {n}")
