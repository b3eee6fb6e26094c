"""Intervals against published and hand-computed values."""

from __future__ import annotations

import numpy as np
import pytest

from reasonlens.stats import ratio_over_groups, wilson_proportion


def test_a_share_has_the_wilson_interval() -> None:
    figure = wilson_proportion(np.repeat([1.0, 0.0], [8, 2]))
    # By hand: centre (0.8 + z^2/20) / (1 + z^2/10), half-width z / (1 + z^2/10) sqrt(0.016 + z^2/400), z = 1.96.
    assert (figure.value, figure.low, figure.high, figure.n) == pytest.approx((0.8, 0.4902, 0.9433, 10), abs=1e-4)
    never = wilson_proportion(np.zeros(20))
    assert never.low == 0.0 and 0.1 < never.high < 0.2  # no certainty from twenty misses


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
