"""Wilson's interval against its formula, and how often it covers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, norm

from reasonlens.stats import wilson_proportion


def test_a_share_has_the_wilson_interval() -> None:
    figure = wilson_proportion(np.repeat([1.0, 0.0], [8, 2]))
    # By hand: centre (0.8 + z^2/20) / (1 + z^2/10), half-width z / (1 + z^2/10) sqrt(0.016 + z^2/400), z = 1.96.
    assert (figure.value, figure.low, figure.high, figure.n) == pytest.approx((0.8, 0.4902, 0.9433, 10), abs=1e-4)
    never = wilson_proportion(np.zeros(20))
    assert never.low == 0.0 and 0.1 < never.high < 0.2  # no certainty from twenty misses


@pytest.mark.parametrize(("n_hits", "n"), [(0, 1), (1, 1), (3, 10), (50, 100), (499, 500)])
def test_the_ends_are_those_of_the_formula(n_hits: int, n: int) -> None:
    z, p = norm.ppf(0.975), n_hits / n
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    found = wilson_proportion(np.arange(n) < n_hits)
    assert (found.low, found.high) == pytest.approx((middle - half, middle + half), abs=1e-12)


@pytest.mark.parametrize("n", [20, 60, 200])
def test_it_covers_in_95_of_100_experiments_over_all_proportions(n: int) -> None:
    """Exactly, by the binomial; on average over proportions, as no interval for counts covers the same at each."""
    intervals = [wilson_proportion(np.arange(n) < n_hits) for n_hits in range(n + 1)]
    low, high = (np.array([getattr(each, end) for each in intervals]) for end in ("low", "high"))
    proportions = np.linspace(0.02, 0.98, 97)
    chances = binom.pmf(np.arange(n + 1), n, proportions[:, None])
    covered = (chances * ((low <= proportions[:, None]) & (proportions[:, None] <= high))).sum(axis=1)
    assert 0.94 <= covered.mean() <= 0.96 and covered.min() > 0.83
    plain = [norm.interval(0.95, k / n, max(np.sqrt(k * (n - k) / n**3), 1e-12)) for k in range(n + 1)]
    uncovered = np.array([(lower <= 0.02) & (0.02 <= upper) for lower, upper in plain])
    assert (binom.pmf(np.arange(n + 1), n, 0.02) * uncovered).sum() < covered[0]  # the textbook's p -/+ 2 s fails at 0


def test_no_trial_has_no_proportion() -> None:
    with pytest.raises(ValueError, match="at least one trial"):
        wilson_proportion(np.empty(0))
