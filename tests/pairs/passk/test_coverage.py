"""Coverage sets with their tests, and Cover@tau, against counts by hand and other implementations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, fisher_exact

from reasonlens.pairs.passk.coverage import Coverage, cover_at


def counts(right: list[int], n: int | list[int] = 8) -> tuple[np.ndarray, np.ndarray]:
    return np.array(right), np.broadcast_to(np.array(n), len(right))


def test_sets_are_counted_and_tested_as_mcnemar_does() -> None:
    base, thinking = counts([3, 1, 2, 1, 1, 4, 0, 0, 8]), counts([8, 0, 0, 0, 0, 0, 2, 0, 8])
    coverage = Coverage.of(base, thinking)
    assert (coverage.both, coverage.only_base, coverage.only_thinking, coverage.neither) == (2, 5, 1, 1)
    assert coverage.p == pytest.approx(binomtest(5, 6).pvalue) and coverage.is_exact and coverage.m == 8
    assert coverage.difference == pytest.approx((3 - 7) / 9)


def test_with_other_numbers_of_samples_models_are_compared_at_the_fewest() -> None:
    """A model with twice as many samples of as good rates would cover more problems by that alone."""
    generator = np.random.default_rng(0)
    rates = generator.beta(0.5, 6, size=400)
    base, thinking = (generator.binomial(32, rates), np.full(400, 32)), (generator.binomial(4, rates), np.full(400, 4))
    coverage = Coverage.of(base, thinking)
    assert coverage.only_base > coverage.only_thinking + 60 and coverage.m == 4
    assert abs(coverage.difference) < 0.05 and coverage.p > 0.01


def test_a_problem_is_surely_of_one_model_only_where_its_samples_differ_beyond_chance() -> None:
    base, thinking = counts([30, 1, 0, 12], 64), counts([0, 0, 40, 12], 64)
    coverage = Coverage.of(base, thinking)
    assert (coverage.only_base, coverage.surely_only_base) == (2, 1)
    assert (coverage.only_thinking, coverage.surely_only_thinking) == (1, 1)
    p = fisher_exact([[30, 34], [0, 64]], alternative="greater").pvalue
    assert 4 * p < 0.05 < fisher_exact([[1, 63], [0, 64]], alternative="greater").pvalue


def test_of_models_alike_no_problem_is_surely_of_one_only() -> None:
    n_sure = 0
    for seed in range(100):
        generator = np.random.default_rng(seed)
        rates = generator.beta(0.3, 2, size=60)
        coverage = Coverage.of(
            (generator.binomial(64, rates), np.full(60, 64)), (generator.binomial(64, rates), np.full(60, 64))
        )
        n_sure += bool(coverage.surely_only_base or coverage.surely_only_thinking)
    assert n_sure <= 5  # one-sided, both ways, and conservative


def test_what_goes_unsolved_may_have_a_rate_up_to_three_in_n() -> None:
    coverage = Coverage.of(counts([0, 1], 128), counts([0, 1], 128))
    assert coverage.hidden_rate == pytest.approx(3 / 128, rel=0.02)
    assert (1 - coverage.hidden_rate) ** 128 == pytest.approx(0.05)


def test_cover_at_tau_counts_problems_with_at_least_that_share_right() -> None:
    base, thinking = counts([0, 1, 4, 8], 8), counts([0, 0, 8, 8], 8)
    rows = cover_at(base, thinking, (1 / 8, 0.5, 0.51, 1.0))
    assert [row.base.value for row in rows] == [0.75, 0.5, 0.25, 0.25]
    assert [row.thinking.value for row in rows] == [0.5] * 4
    assert [row.difference.value for row in rows] == [-0.25, 0.0, 0.25, 0.25]
    assert all(row.base.low < row.base.value < row.base.high and row.base.n == 4 for row in rows)


def test_shares_that_floating_point_cannot_write_are_reached_all_the_same() -> None:
    rows = cover_at(counts([7, 3], 10), counts([3, 7], 10), (0.3, 0.7))
    assert [row.base.value for row in rows] == [1.0, 0.5]
