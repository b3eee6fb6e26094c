"""Means, ratios and differences of ratios against hand-computed values, loops, and how often they cover."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest

from reasonlens.stats import (
    bootstrap_counts,
    mean_over_groups,
    ratio_difference_over_groups,
    ratio_over_groups,
    ratio_quotient_over_groups,
    sum_by_group,
)

N_EXPERIMENTS = 1000


def test_a_ratio_is_of_sums_and_its_interval_covers_at_its_rate() -> None:
    assert ratio_over_groups(np.array([1.0, 3.0]), np.array([2.0, 10.0])).value == pytest.approx(4 / 12)
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        below = generator.integers(1, 6, 80).astype(np.float64)
        above = generator.binomial(below.astype(int), generator.beta(2, 2, 80)).astype(np.float64)
        figure = ratio_over_groups(above, below)
        covered += figure.low <= 0.5 <= figure.high
    assert 180 <= covered <= 199


def test_what_is_always_or_never_so_is_not_certain() -> None:
    whole, none = (
        ratio_over_groups(np.full(12, 3.0), np.full(12, 3.0)),
        ratio_over_groups(np.zeros(12), np.full(12, 3.0)),
    )
    assert (whole.value, whole.low, whole.high) == pytest.approx((1.0, 0.7575, 1.0), abs=1e-4)
    assert (none.value, none.low, none.high) == pytest.approx((0.0, 0.0, 0.2425), abs=1e-4)


def test_problems_with_nothing_below_do_not_spoil_an_interval() -> None:
    figure = ratio_over_groups(np.array([0.0, 0.0, 1.0, 0.0]), np.array([0.0, 0.0, 2.0, 0.0]))
    assert all(np.isfinite([figure.value, figure.low, figure.high]))


def test_a_ratio_keeps_numerator_and_denominator_of_a_problem_together() -> None:
    counts = np.array([1.0, 50.0, 3.0, 7.0])
    figure = ratio_over_groups(2 * counts, counts)
    assert (figure.value, figure.low, figure.high) == pytest.approx((2.0, 2.0, 2.0))


def test_the_ends_are_percentiles_of_the_ratios_of_the_groups_drawn() -> None:
    generator = np.random.default_rng(1)
    above, below = generator.normal(size=25), generator.uniform(1, 3, 25)
    drawn = [np.repeat(np.arange(25), times.astype(int)) for times in bootstrap_counts(25)]
    ratios = [above[rows].sum() / below[rows].sum() for rows in drawn]
    found = ratio_over_groups(above, below)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(ratios, [0.025, 0.975])), rel=1e-12)


def test_means_cover_in_95_of_100_experiments() -> None:
    generator, hits = np.random.default_rng(2), 0
    for seed in range(N_EXPERIMENTS):
        found = mean_over_groups(generator.gamma(2.0, size=120), seed=seed % 4)
        hits += found.low <= 2.0 <= found.high
    assert 0.93 <= hits / N_EXPERIMENTS <= 0.97


def test_ratios_cover_in_95_of_100_experiments_over_groups_and_not_over_sentences() -> None:
    """Sentences of one problem are alike: resampled by themselves, their ratio would cover about 70%."""
    generator, hits, alone = np.random.default_rng(3), 0, 0
    for seed in range(N_EXPERIMENTS):
        problems = np.repeat(np.arange(100), generator.integers(4, 9, 100))
        shows = generator.random(len(problems)) < generator.beta(1, 1, 100)[problems]
        sums = sum_by_group(np.stack([shows, np.ones(len(shows))], axis=1), problems)
        found = ratio_over_groups(*sums.T, seed=seed % 4)
        hits += found.low <= 0.5 <= found.high
        half = 1.96 * shows.std() / len(shows) ** 0.5
        alone += abs(shows.mean() - 0.5) <= half
    assert 0.93 <= hits / N_EXPERIMENTS <= 0.97 and alone / N_EXPERIMENTS < 0.8


def test_differences_cover_in_95_of_100_experiments_and_pairing_makes_them_narrow() -> None:
    generator, hits, widths = np.random.default_rng(4), 0, []
    for seed in range(N_EXPERIMENTS):
        difficulty = generator.beta(1, 1, 100)
        below = generator.integers(4, 12, (2, 100)).astype(float)
        above = generator.binomial(below.astype(int), difficulty * np.array([[0.8], [0.6]]))
        found = ratio_difference_over_groups(above[0], below[0], above[1], below[1], seed=seed % 4)
        hits += found.low <= 0.1 <= found.high
        other = np.roll(np.arange(100), 1)  # the same, problems not paired
        apart = ratio_difference_over_groups(above[0], below[0], above[1][other], below[1][other], seed=seed % 4)
        widths.append([found.high - found.low, apart.high - apart.low])
    assert 0.93 <= hits / N_EXPERIMENTS <= 0.97
    paired, unpaired = np.mean(widths, axis=0)
    assert paired < 0.8 * unpaired


def test_a_difference_of_a_ratio_with_itself_is_0_and_one_over_nothing_counts_as_0() -> None:
    above, below = np.array([1.0, 3.0, 0.0]), np.array([2.0, 4.0, 4.0])
    same = ratio_difference_over_groups(above, below, above, below)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    nothing = ratio_difference_over_groups(above, below, np.zeros(3), np.zeros(3))
    assert nothing.value == pytest.approx(0.4) and nothing.low <= 0.4 <= nothing.high


def test_a_single_group_has_a_value_and_unknown_ends() -> None:
    one = np.array([1.0]), np.array([3.0])
    found, difference = ratio_over_groups(*one), ratio_difference_over_groups(*one, *one)
    assert found.value == pytest.approx(1 / 3) and difference.value == 0 and found.n == difference.n == 1
    assert np.isnan([found.low, found.high, difference.low, difference.high]).all()


def test_what_has_no_ratio_is_refused() -> None:
    with pytest.raises(ValueError, match="a numerator and a denominator a group, not 2 and 3"):
        ratio_over_groups(np.ones(2), np.ones(3))
    for empty in (np.empty(0), np.zeros(3)):
        with pytest.raises(ValueError, match="a group with something below the line"):
            ratio_over_groups(empty, empty)
    with pytest.raises(ValueError, match="paired ratios are of the same groups, not of 2 and 2 and 3 and 3"):
        ratio_difference_over_groups(np.ones(2), np.ones(2), np.ones(3), np.ones(3))


def test_groups_with_nothing_below_the_line_do_not_make_a_share_of_0_or_1_surer() -> None:
    below = np.array([1.0, *np.zeros(199)])
    for value in (0.0, 1.0):
        alone = ratio_over_groups(np.array([value]), np.ones(1))
        among = ratio_over_groups(value * below, below)
        assert (among.low, among.high) == (alone.low, alone.high) and among.n == 200
        assert among.high - among.low > 0.5


def test_a_quotient_of_ratios_is_paired_and_nothing_below_a_line_leaves_it_unknown() -> None:
    random = np.random.default_rng(4)
    below, other_below = random.integers(5, 15, size=80).astype(float), random.integers(5, 15, size=80).astype(float)
    scale = np.exp(random.normal(size=80))  # common to both ratios of a group
    above, other_above = 3 * scale * below, scale * other_below
    quotient = ratio_quotient_over_groups(above, below, other_above, other_below)
    assert quotient.value == pytest.approx((above.sum() / below.sum()) / (other_above.sum() / other_below.sum()))
    unpaired = ratio_over_groups(above, below)
    assert quotient.low < 3 < quotient.high and quotient.n == 80
    assert (quotient.high - quotient.low) / quotient.value < (unpaired.high - unpaired.low) / unpaired.value
    zero = np.zeros(80)
    assert isnan(ratio_quotient_over_groups(zero, zero, above, below).value)
    assert isnan(ratio_quotient_over_groups(above, below, zero, below).value)
    alone = ratio_quotient_over_groups(above[:1], below[:1], other_above[:1], other_below[:1])
    assert alone.value == pytest.approx(3) and isnan(alone.low)
    with pytest.raises(ValueError, match="paired ratios are of the same groups"):
        ratio_quotient_over_groups(above, below, above, below[:3])
