from __future__ import annotations

import math
import re

import numpy as np
import pytest
from scipy.stats import norm

from reasonlens.stats import (
    accuracy_difference_over_groups,
    accuracy_draws,
    accuracy_over_groups,
    gap_excess_over_groups,
    gap_recovered_over_groups,
)


def answers(rng: np.random.Generator, n: int, base: float, thinking: float, like_thinking: float) -> list[np.ndarray]:
    """Base and thinking model that find the same problems hard, and an arm that answers as the one or the other."""
    hard = rng.standard_normal(n)
    solved = [norm.cdf((hard + rng.standard_normal(n)) / 2**0.5) < share for share in (base, thinking)]
    return [*solved, np.where(rng.random(n) < like_thinking, solved[1], solved[0])]


def worse(rng: np.random.Generator, n: int, base: float, thinking: float, lost: float) -> list[np.ndarray]:
    """An arm that loses a share of what its base solves."""
    solved = answers(rng, n, base, thinking, 0.0)
    return [*solved[:2], solved[0] & (rng.random(n) >= lost)]


@pytest.mark.parametrize(
    ("n", "base", "thinking", "arm", "expected"),
    [
        (200, 0.3, 0.5, 0.75, 0.75),
        (200, 0.1, 0.6, 0.95, 0.95),
        (500, 0.4, 0.5, 0.5, 0.5),
        (1000, 0.3, 0.7, 0.1, 0.1),
        (300, 0.4, 0.7, -0.3, -0.4),
    ],
)
def test_intervals_cover_what_they_estimate_in_95_of_100_experiments(
    n: int, base: float, thinking: float, arm: float, expected: float
) -> None:
    rng = np.random.default_rng(0)
    found = []
    for seed in range(800):
        drawn = answers(rng, n, base, thinking, arm) if arm >= 0 else worse(rng, n, base, thinking, -arm)
        found.append(gap_recovered_over_groups(*drawn, seed=seed, n_resamples=1000))
    shown = [gap for gap in found if not gap.no_gap]
    assert len(shown) > 0.85 * len(found)
    assert 0.93 <= np.mean([gap.share.low <= expected <= gap.share.high for gap in shown]) <= 0.975
    assert all(gap.share.low <= gap.share.value <= gap.share.high for gap in shown)


def test_intervals_cover_when_problems_have_several_questions() -> None:
    """Questions of one problem are answered alike: counted as independent, they would cover about 80%."""
    rng = np.random.default_rng(1)
    groups = [str(problem) for problem in range(150) for _ in range(4)]
    covers = {True: 0, False: 0}
    for seed in range(400):
        drawn = [np.repeat(each, 4) for each in answers(rng, 150, 0.3, 0.7, 0.5)]
        for is_grouped in covers:
            gap = gap_recovered_over_groups(*drawn, groups if is_grouped else None, seed, n_resamples=1000)
            covers[is_grouped] += gap.share.low <= 0.5 <= gap.share.high
    assert 0.92 <= covers[True] / 400 <= 0.98
    assert covers[False] / 400 < 0.75


def test_accuracies_and_differences_cover_near_0_too() -> None:
    rng = np.random.default_rng(2)
    right, above = [], []
    for seed in range(600):
        arm, other = rng.random(300) < 0.02, rng.random(300) < 0.05
        right.append(accuracy_over_groups(arm, seed=seed, n_resamples=2000))
        above.append(accuracy_difference_over_groups(arm, other, seed=seed, n_resamples=2000))
    assert 0.93 <= np.mean([figure.low <= 0.02 <= figure.high for figure in right]) <= 0.99
    assert 0.93 <= np.mean([figure.low <= -0.03 <= figure.high for figure in above]) <= 0.98


@pytest.mark.parametrize("per_group", [1, 3])
def test_accuracies_and_differences_cover_in_95_of_100_experiments(per_group: int) -> None:
    rng = np.random.default_rng(7)
    right, above = 0, 0
    groups = [str(problem) for problem in range(120) for _ in range(per_group)]
    for seed in range(800):
        other, arm, _ = (np.repeat(each, per_group) for each in answers(rng, 120, 0.3, 0.5, 0.0))
        accuracy = accuracy_over_groups(arm, groups, seed, n_resamples=1000)
        difference = accuracy_difference_over_groups(arm, other, groups, seed, n_resamples=1000)
        right += accuracy.low <= 0.5 <= accuracy.high
        above += difference.low <= 0.2 <= difference.high
        assert accuracy.n == difference.n == 120
    assert 0.93 <= right / 800 <= 0.97 and 0.93 <= above / 800 <= 0.97


@pytest.mark.parametrize("whole", [False, True])
def test_all_or_nothing_solved_is_not_certain(whole: bool) -> None:
    found = accuracy_over_groups(np.full(40, whole))
    assert found.value == whole and 0.01 < found.high - found.low < 0.1


def test_draws_are_those_of_a_multinomial_over_kinds_of_problems_bit_for_bit() -> None:
    """Kinds of problems in order, then the made-up ones, spread over the outcomes, as hybrids were always drawn."""
    arms, groups = [np.arange(9) % 2 == 0, np.arange(9) < 4], list("aabbccdde")
    sums = np.array(
        [[sum(g == name for g in groups), *(a[[g == name for g in groups]].sum() for a in arms)] for name in "abcde"],
        dtype=float,
    )
    kinds, times = np.unique(sums, axis=0, return_counts=True)
    made_up = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 1, 1]])
    weights = np.concatenate([times, np.full(4, 0.5)]) / 7
    drawn = np.random.default_rng(3).multinomial(5, weights, size=100) @ np.concatenate([kinds, made_up])
    assert (accuracy_draws(arms, groups, seed=3, n_resamples=100) == drawn[:, 1:] / drawn[:, :1]).all()


def test_the_interval_is_fiellers_where_samples_are_large() -> None:
    base, thinking, arm = answers(np.random.default_rng(3), 5000, 0.3, 0.6, 0.6)
    gain, gap = arm.astype(float) - base, thinking.astype(float) - base
    (var_gain, cov), (_, var_gap) = np.cov(gain, gap) / 5000 * 1.959964**2
    # (gain - R gap)^2 <= z^2 Var(gain - R gap), solved for R
    ends = np.roots([gap.mean() ** 2 - var_gap, -2 * (gain.mean() * gap.mean() - cov), gain.mean() ** 2 - var_gain])
    found = gap_recovered_over_groups(base, thinking, arm).share
    assert (found.low, found.high) == pytest.approx((min(ends), max(ends)), abs=0.003)


def test_the_share_is_not_clipped() -> None:
    base, thinking = np.arange(400) < 100, np.arange(400) < 300
    assert gap_recovered_over_groups(base, thinking, np.arange(400) < 50).share.value == -0.25
    assert gap_recovered_over_groups(base, thinking, np.arange(400) < 350).share.value == 1.25
    half = gap_recovered_over_groups(base, thinking, np.arange(400) < 200).share
    assert half.value == 0.5 and 0.4 < half.low < 0.5 < half.high < 0.6


def test_an_arm_that_answers_as_its_base_does_has_an_interval_all_the_same() -> None:
    base, thinking = np.arange(200) < 60, np.arange(200) < 120
    as_base, as_thinking = (gap_recovered_over_groups(base, thinking, arm).share for arm in (base, thinking))
    assert as_base.value == 0 and -0.1 < as_base.low < 0 < as_base.high < 0.1
    assert as_thinking.value == 1 and 0.9 < as_thinking.low < 1 < as_thinking.high < 1.1


@pytest.mark.parametrize(
    ("thinking", "reason"),
    [
        (110, r"the thinking model is not shown to be better than the base: 0\.050 \[-0\.0.*\(n = 200\)"),
        (100, "is not shown to be better than the base: 0.000"),
        (40, "the thinking model is worse than the base: -0.300"),
    ],
)
def test_a_pair_without_a_gap_says_so_and_gives_no_interval(thinking: int, reason: str) -> None:
    base = np.random.default_rng(0).permutation(np.arange(200) < 100)
    found = gap_recovered_over_groups(base, np.arange(200) < thinking, base)
    assert all(math.isnan(each) for each in (found.share.value, found.share.low, found.share.high))
    assert re.search(reason, found.no_gap)


def test_models_that_are_alike_have_a_gap_in_no_more_than_a_fortieth_of_experiments() -> None:
    rng = np.random.default_rng(4)
    found = [
        gap_recovered_over_groups(*answers(rng, 300, 0.5, 0.5, 0.5), seed=seed, n_resamples=1000) for seed in range(600)
    ]
    assert np.mean([not gap.no_gap for gap in found]) < 0.04


def test_resamples_of_shares_over_seeds_have_their_mean_and_spread() -> None:
    share = np.random.default_rng(5).integers(0, 4, size=2000) / 3
    drawn = accuracy_draws([share])[:, 0]
    assert drawn.mean() == pytest.approx(share.mean(), abs=1e-3)
    assert drawn.std() == pytest.approx(share.std() / 2000**0.5, rel=0.03)


def test_the_same_seed_draws_the_same() -> None:
    drawn = answers(np.random.default_rng(6), 100, 0.2, 0.8, 0.5)
    assert (
        gap_recovered_over_groups(*drawn, seed=3)
        == gap_recovered_over_groups(*drawn, seed=3)
        != gap_recovered_over_groups(*drawn, seed=4)
    )


def test_arms_that_were_asked_other_questions_are_refused() -> None:
    with pytest.raises(ValueError, match="these have 3 and 4 of them; measure them on the questions that all have"):
        accuracy_difference_over_groups(np.ones(3, dtype=bool), np.ones(4, dtype=bool))
    with pytest.raises(ValueError, match="at least two groups, and there is 1"):
        accuracy_over_groups(np.ones(4, dtype=bool), ["a"] * 4)
    with pytest.raises(ValueError, match="these have 2 and 4 of them"):
        accuracy_over_groups(np.ones(4, dtype=bool), ["a", "b"])


def test_the_excess_of_an_arm_over_its_base_is_what_it_recovers_and_over_itself_nothing() -> None:
    base, thinking, arm = answers(np.random.default_rng(8), 400, 0.3, 0.7, 0.6)
    excess, recovered = (
        gap_excess_over_groups(base, thinking, arm, base),
        gap_recovered_over_groups(base, thinking, arm),
    )
    assert excess.value == pytest.approx(recovered.share.value) and excess.n == 400
    assert (excess.low, excess.high) == pytest.approx((recovered.share.low, recovered.share.high), abs=0.02)
    itself = gap_excess_over_groups(base, thinking, arm, arm)
    assert itself.value == 0 and -0.05 < itself.low < 0 < itself.high < 0.05
    assert math.isnan(gap_excess_over_groups(base, base, arm, base).value)


def test_excesses_cover_what_they_estimate() -> None:
    rng, n_held, n_experiments = np.random.default_rng(9), 0, 150
    for _ in range(n_experiments):
        base, thinking, arm = answers(rng, 120, 0.2, 0.7, 0.7)
        other = np.where(rng.random(120) < 0.3, thinking, base)
        excess = gap_excess_over_groups(base, thinking, arm, other, n_resamples=500)
        n_held += excess.low <= 0.4 <= excess.high
    assert 0.88 <= n_held / n_experiments <= 1.0
