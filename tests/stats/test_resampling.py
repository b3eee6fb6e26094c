"""Resamples of groups against a loop over the groups that were drawn, and against the generator's own draws."""

from __future__ import annotations

import numpy as np
import pytest

from reasonlens.stats import bootstrap_counts, percentile_ends, sum_by_group


def test_a_resample_draws_as_many_groups_as_there_are_each_as_often_on_average() -> None:
    counts = bootstrap_counts(30, 4000, seed=1)
    assert counts.shape == (4000, 30) and (counts.sum(axis=1) == 30).all()
    np.testing.assert_allclose(counts.mean(axis=0), 1, atol=0.08)
    np.testing.assert_allclose(counts.var(axis=0), 29 / 30, atol=0.12)  # of a binomial of 30 draws at 1/30


def test_draws_are_those_of_the_generators_multinomial_bit_for_bit() -> None:
    expected = np.random.default_rng(7).multinomial(12, np.full(12, 1 / 12), size=50)
    assert (bootstrap_counts(12, 50, seed=7) == expected).all()
    generator = np.random.default_rng(7)
    assert (bootstrap_counts(12, 50, seed=generator) == expected).all()
    assert generator.random() != np.random.default_rng(7).random()  # it went on drawing from the generator
    weights = np.array([3.0, 8.0, 0.5, 0.5])
    weighted = np.random.default_rng(2).multinomial(11, weights / 12, size=40)
    assert (bootstrap_counts(11, 40, seed=2, weights=weights) == weighted).all()


def test_counts_that_are_shared_cannot_be_changed_by_one_of_their_users() -> None:
    counts = bootstrap_counts(5, 10, seed=3)
    with pytest.raises(ValueError, match="read-only"):
        counts[0, 0] = 9
    assert (bootstrap_counts(5, 10, seed=3) == counts).all() and (bootstrap_counts(5, 10, seed=4) != counts).any()


def test_sums_of_a_resample_equal_a_loop_over_the_groups_drawn() -> None:
    generator = np.random.default_rng(0)
    groups = [f"p{number}" for number in generator.integers(8, size=60)]
    columns = generator.normal(size=(60, 2))
    by_group = sum_by_group(columns, groups)
    names = sorted(set(groups))
    for counts in bootstrap_counts(len(names), 5):
        drawn = [name for name, times in zip(names, counts, strict=True) for _ in range(int(times))]
        by_hand = sum(columns[[group == name for group in groups]].sum(axis=0) for name in drawn)
        np.testing.assert_allclose(counts @ by_group, by_hand, rtol=1e-12)


def test_without_groups_each_observation_is_one_of_its_own() -> None:
    columns = np.arange(6.0).reshape(3, 2)
    assert (sum_by_group(columns, None) == columns).all()


def test_ends_are_percentiles_of_the_finite_draws() -> None:
    draws = np.random.default_rng(0).normal(size=999)
    low, high = percentile_ends(np.append(draws, [np.nan, np.inf]))
    assert [low, high] == np.quantile(draws, [0.025, 0.975]).tolist()
    low, high = percentile_ends(draws, level=0.8)
    assert np.mean((draws >= low) & (draws <= high)) == pytest.approx(0.8, abs=0.002)
    assert np.isnan(percentile_ends(np.array([np.nan]))).all() and np.isnan(percentile_ends(np.empty(0))).all()


@pytest.mark.parametrize(("n", "words"), [(1, "there is 1"), (0, "there are 0")])
def test_fewer_than_two_groups_are_refused(n: int, words: str) -> None:
    with pytest.raises(ValueError, match=f"at least two groups, and {words}"):
        bootstrap_counts(n)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one resample, not 0"):
        bootstrap_counts(4, 0)
    with pytest.raises(ValueError, match="each observation has one group, and there are 3 and 2 of them"):
        sum_by_group(np.ones((3, 1)), ["a", "b"])
