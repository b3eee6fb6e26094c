"""Bands of two curves of the same problems: they hold all points at once, and never shrink to nothing."""

from __future__ import annotations

import numpy as np
import pytest

from reasonlens.stats import paired_curves_over_groups, pass_curves

KS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)


def test_means_and_difference_are_those_of_the_problems() -> None:
    first = np.array([[0.0, 0.5], [0.5, 1.0], [0.25, 0.25]])
    second = np.array([[1.0, 1.0], [0.5, 0.5], [0.0, 1.0]])
    curves = paired_curves_over_groups(first, second, n_resamples=200)
    assert [point.value for point in curves.first] == pytest.approx(first.mean(axis=0).tolist())
    assert [point.value for point in curves.second_band] == pytest.approx(second.mean(axis=0).tolist())
    assert [point.value for point in curves.difference] == pytest.approx((second - first).mean(axis=0).tolist())
    assert {point.n for point in curves.difference_band} == {3}


def test_intervals_are_those_of_a_bootstrap_of_the_problems() -> None:
    """Against a plain bootstrap of rows, drawn here; with many problems the made-up ones are of no account."""
    generator = np.random.default_rng(0)
    first, second = generator.random((400, 3)), generator.random((400, 3)) ** 2
    curves = paired_curves_over_groups(first, second, seed=1, n_resamples=4000)
    rows = generator.integers(400, size=(4000, 400))
    draws = (second - first)[rows].mean(axis=1)
    for place, point in enumerate(curves.difference):
        low, high = np.quantile(draws[:, place], [0.025, 0.975])
        assert (point.low, point.high) == pytest.approx((low, high), abs=0.006)
    widths = [band.high - band.low for band in curves.difference_band]
    assert all(wide > point.high - point.low for wide, point in zip(widths, curves.difference, strict=True))


def test_questions_of_one_problem_are_drawn_together() -> None:
    """The same problems four times over say no more than once."""
    generator = np.random.default_rng(0)
    first, second = generator.random((60, 2)), generator.random((60, 2))
    once = paired_curves_over_groups(first, second, n_resamples=500)
    groups = [str(number) for number in range(60)] * 4
    repeated = paired_curves_over_groups(np.tile(first, (4, 1)), np.tile(second, (4, 1)), groups, n_resamples=500)
    alone = paired_curves_over_groups(np.tile(first, (4, 1)), np.tile(second, (4, 1)), n_resamples=500)

    def width(curves):
        return curves.difference_band[0].high - curves.difference_band[0].low

    assert repeated.difference_band[0].n == 60
    assert 0.85 < width(repeated) / width(once) < 1.15 and width(alone) < 0.6 * width(once)


def test_where_all_problems_are_alike_there_is_a_band_still() -> None:
    ones = np.ones((50, 4))
    curves = paired_curves_over_groups(ones, ones, n_resamples=500)
    for band in curves.difference_band:
        assert band.value == 0 and -0.2 < band.low < 0 < band.high < 0.2
    assert curves.first_band[0].low < 1 == curves.first_band[0].high


def test_curves_at_other_points_are_refused() -> None:
    with pytest.raises(ValueError, match="compared at the same points"):
        paired_curves_over_groups(np.ones((3, 2)), np.ones((3, 1)))
    with pytest.raises(ValueError, match="at least two groups"):
        paired_curves_over_groups(np.ones((1, 2)), np.ones((1, 2)))


def experiment(seed: int, rates: str, n_problems: int = 100, n: int = 32):
    """Right samples of both models: rates that cross, or rates drawn alike for both."""
    generator = np.random.default_rng([seed, 1])
    base = generator.beta(0.8, 3, size=n_problems)
    if rates == "crossing":
        thinking = np.where(generator.random(n_problems) < 0.75, 1 - (1 - base) ** 6, 0.02 * base)
    else:
        thinking = generator.beta(0.8, 3, size=n_problems)
    return generator.binomial(n, base), generator.binomial(n, thinking)


def truth(rates: str) -> np.ndarray:
    """The difference of a million problems, of their rates and not of samples."""
    if rates != "crossing":
        return np.zeros(len(KS))
    generator = np.random.default_rng(2)
    base = generator.beta(0.8, 3, size=1_000_000)
    thinking = np.where(generator.random(len(base)) < 0.75, 1 - (1 - base) ** 6, 0.02 * base)
    return np.array([((1 - base) ** k - (1 - thinking) ** k).mean() for k in KS])


@pytest.mark.parametrize("rates", ["crossing", "alike"])
def test_the_band_of_the_difference_holds_the_truth_at_all_k_at_once(rates: str) -> None:
    """300 experiments of 100 problems; where both models are alike, the band excludes 0 in about 5%."""
    difference = truth(rates)
    n_held = 0
    for seed in range(300):
        base, thinking = (pass_curves(right, 32, KS) for right in experiment(seed, rates))
        band = paired_curves_over_groups(base, thinking, seed=seed, n_resamples=400).difference_band
        n_held += all(one.low <= value <= one.high for one, value in zip(band, difference, strict=True))
    assert 0.90 <= n_held / 300 <= 0.985
