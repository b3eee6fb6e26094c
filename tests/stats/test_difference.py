"""The difference of two intervals covers the planted difference, also where both are lopsided."""

from __future__ import annotations

from math import isnan, nan, sqrt

import numpy as np
import pytest

from reasonlens.stats import Interval, difference_of_intervals, wilson_proportion


@pytest.mark.parametrize(("first", "second"), [(0.5, 0.5), (0.97, 0.9), (0.08, 0.3)])
def test_it_covers_the_planted_difference_of_independent_shares(first: float, second: float) -> None:
    rng, n, hits = np.random.default_rng(0), 60, 0
    for _ in range(2000):
        a, b = (wilson_proportion(rng.random(n) < chance) for chance in (first, second))
        interval = difference_of_intervals(a, b)
        hits += interval.low <= first - second <= interval.high
    assert 0.93 <= hits / 2000 <= 0.975


def test_symmetric_intervals_give_the_textbook_one_and_the_sign_turns_with_the_order() -> None:
    a, b = Interval(0.7, 0.6, 0.8, 50), Interval(0.4, 0.25, 0.55, 30)
    interval = difference_of_intervals(a, b)
    assert interval.value == pytest.approx(0.3) and interval.n == 30
    assert interval.high - interval.value == pytest.approx(sqrt(0.1**2 + 0.15**2))
    turned = difference_of_intervals(b, a)
    assert (turned.low, turned.high) == pytest.approx((-interval.high, -interval.low))
    assert isnan(difference_of_intervals(a, Interval(0.4, nan, nan)).low)
