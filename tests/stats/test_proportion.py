"""Wilson's interval against its formula, and how often it covers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, norm

from reasonlens.stats import proportion_over_groups, ratio_over_groups, wilson_proportion


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


CELLS = [  # problems, questions of each, share, how alike the questions of a problem are
    (20, (4,), 0.05, 0.7),
    (20, (4,), 0.5, 1.0),
    (60, (2,), 0.2, 0.3),
    (60, (1, 1, 2, 8), 0.05, 1.0),
    (60, (1, 1, 2, 8), 0.9, 0.7),
    (200, (1, 1, 1, 3), 0.8, 1.0),
]


@pytest.mark.parametrize(("n_groups", "sizes", "share", "alike"), CELLS)
def test_shares_of_like_questions_cover_and_those_of_independent_ones_do_not(
    n_groups: int, sizes: tuple[int, ...], share: float, alike: float
) -> None:
    generator = np.random.default_rng(n_groups)
    per_group = np.array(sizes * (n_groups // len(sizes)))
    groups = np.repeat(np.arange(n_groups), per_group)
    grouped, independent = [], []
    for _ in range(1000):
        difficulty = generator.random(n_groups) < share
        if alike < 1:
            spread = 1 / alike - 1
            difficulty = generator.beta(share * spread, (1 - share) * spread, n_groups)
        hits = generator.random(len(groups)) < difficulty[groups]
        found, plain = proportion_over_groups(hits, groups), wilson_proportion(hits)
        grouped.append(found.low <= share <= found.high)
        independent.append(plain.low <= share <= plain.high)
    assert np.mean(grouped) >= 0.92
    assert np.mean(independent) < 0.91


def test_a_share_of_one_question_a_problem_is_wilsons_and_one_problem_has_no_interval() -> None:
    hits = np.arange(20) < 7
    assert (
        proportion_over_groups(hits, [f"p{n}" for n in range(20)])
        == proportion_over_groups(hits)
        == (wilson_proportion(hits))
    )
    alone = proportion_over_groups(hits, ["p"] * 20)
    assert alone.value == 0.35 and np.isnan(alone.low) and alone.n == 1
    never = proportion_over_groups(np.zeros(20), np.arange(20) // 2)
    assert never.low == 0.0 and never.high > wilson_proportion(np.zeros(20)).high and never.n == 10


def test_ratios_of_observations_are_those_of_the_sums_of_their_groups() -> None:
    above, below, groups = np.arange(1.0, 7), np.arange(2.0, 8), ["a", "a", "b", "b", "c", "c"]
    expected = ratio_over_groups(np.array([3.0, 7, 11]), np.array([5.0, 9, 13]))
    assert ratio_over_groups(above, below, groups=groups) == expected and expected.n == 3
