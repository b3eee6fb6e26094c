"""Sign flips and permutations of whole groups: exact where they can be counted, at their level where groups matter."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from scipy.stats import binomtest, permutation_test

from reasonlens.stats import permutation_test_over_groups, sign_flip_test_over_groups


def answers(
    generator: np.random.Generator, n_groups: int, per_group: int, better: float = 0.0
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Two arms whose answers depend on the problem, each in its own way; the first solves a share of the rest too."""
    difficulty = generator.beta(0.4, 0.4, size=(2, n_groups, 1))
    solved = generator.random((2, n_groups, per_group)) < difficulty
    solved[0] |= generator.random((n_groups, per_group)) < better
    return solved[0].ravel(), solved[1].ravel(), np.repeat(np.arange(n_groups), per_group).tolist()


@pytest.mark.parametrize("per_group", [1, 3])
def test_sign_flips_count_all_signs_of_whole_groups(per_group: int) -> None:
    arm, other, groups = answers(np.random.default_rng(0), 9, per_group, better=0.3)
    differences = np.bincount(groups, arm.astype(float) - other)
    flipped = np.array(list(product([-1, 1], repeat=9))) @ differences
    found = sign_flip_test_over_groups(arm, other, groups)
    assert found.p == pytest.approx(np.mean(np.abs(flipped) >= abs(differences.sum()) - 1e-9))
    assert found.is_exact and found.n == 9 and found.difference == pytest.approx(arm.mean() - other.mean())


def test_sign_flips_of_single_questions_are_mcnemars_exact_test() -> None:
    for seed in range(10):
        arm, other, _ = answers(np.random.default_rng(seed), 400, 1, better=0.05 * (seed % 3))
        found = sign_flip_test_over_groups(arm, other)
        n_better, n_worse = int(np.sum(arm & ~other)), int(np.sum(other & ~arm))
        assert found.is_exact and found.p == pytest.approx(binomtest(n_better, n_better + n_worse).pvalue, rel=1e-9)
    assert sign_flip_test_over_groups(arm, arm).p == 1


def test_shares_over_seeds_are_counted_exactly_too() -> None:
    generator = np.random.default_rng(1)
    arm, other = generator.integers(0, 4, 14) / 3, generator.integers(0, 4, 14) / 3
    flipped = np.array(list(product([-1, 1], repeat=14))) @ np.rint(3 * (arm - other))
    found = sign_flip_test_over_groups(arm, other)
    assert found.is_exact
    assert found.p == pytest.approx(np.mean(np.abs(flipped) >= abs(np.rint(3 * (arm - other)).sum())))


def test_flips_that_are_too_many_to_count_are_drawn_and_agree_with_the_count() -> None:
    generator = np.random.default_rng(2)
    values = generator.normal(0.35, size=16)
    exact, drawn = sign_flip_test_over_groups(values, 0 * values), None
    more = np.concatenate([values, 1e-7 * generator.normal(size=14)])  # the same, and too many different sums
    drawn = sign_flip_test_over_groups(more, 0 * more)
    assert exact.is_exact and not drawn.is_exact
    assert drawn.p == pytest.approx(exact.p, abs=0.02) and drawn.p >= 1 / 10_001
    assert drawn == sign_flip_test_over_groups(more, 0 * more) != sign_flip_test_over_groups(more, 0 * more, seed=1)


def test_sign_flips_find_a_difference_that_is_there() -> None:
    generator = np.random.default_rng(5)
    found = [sign_flip_test_over_groups(*answers(generator, 150, 4, better=0.25)) for _ in range(50)]
    assert np.mean([each.p <= 0.05 for each in found]) > 0.7 and min(each.difference for each in found) > 0


@pytest.mark.parametrize("per_group", [1, 2])
def test_permutations_count_all_exchanges_of_whole_groups(per_group: int) -> None:
    generator = np.random.default_rng(3)
    values, groups = generator.normal(size=9 * per_group), np.repeat(np.arange(9), per_group)
    first = groups < 4
    shifted = values + first
    expected = []
    for chosen in combinations(range(9), 4):
        members = np.isin(groups, chosen)
        expected.append(shifted[members].mean() - shifted[~members].mean())
    observed = shifted[first].mean() - shifted[~first].mean()
    found = permutation_test_over_groups(shifted[first], shifted[~first], groups[first], groups[~first])
    assert found.is_exact and found.n == 9 and found.difference == pytest.approx(observed)
    assert found.p == pytest.approx(np.mean(np.abs(expected) >= abs(observed) - 1e-9))


def test_permutations_of_single_questions_are_those_of_scipy() -> None:
    generator = np.random.default_rng(4)
    first, second = generator.random(60) < 0.6, generator.random(80) < 0.4
    theirs = permutation_test(
        (first.astype(float), second.astype(float)),
        lambda x, y, axis: np.abs(x.mean(axis=axis) - y.mean(axis=axis)),
        n_resamples=20_000,
        vectorized=True,
        alternative="greater",
        rng=np.random.default_rng(0),
    )
    found = permutation_test_over_groups(first, second)
    assert not found.is_exact and found.p == pytest.approx(theirs.pvalue, abs=0.01)


@pytest.mark.parametrize("value", [0, 1])
def test_arms_that_solve_all_or_nothing_alike_do_not_differ(value: int) -> None:
    solved = np.full(12, bool(value))
    assert sign_flip_test_over_groups(solved, solved, np.repeat(np.arange(6), 2)).p == 1
    assert permutation_test_over_groups(solved, solved).p == 1


def test_groups_that_cannot_be_exchanged_are_refused() -> None:
    ones = np.ones(3, dtype=bool)
    with pytest.raises(ValueError, match="at least two of them, and there is 1"):
        sign_flip_test_over_groups(ones, ~ones, ["a", "a", "a"])
    with pytest.raises(ValueError, match="paired on the same questions, and these have 3 and 2"):
        sign_flip_test_over_groups(ones, ones[:2])
    with pytest.raises(ValueError, match="group 'b' is in both sets: arms on the same groups are paired"):
        permutation_test_over_groups(ones, ones, ["a", "b", "b"], ["b", "c", "c"])
    with pytest.raises(ValueError, match="these have 3 and 0 questions"):
        permutation_test_over_groups(ones, ones[:0])
