"""Shapley shares of two causes against the definition by orders, planted truth, and how often they cover."""

from __future__ import annotations

from itertools import permutations
from math import isnan

import numpy as np
import pytest

from reasonlens.stats import shapley_shares_over_groups

Cells = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def outcomes(rng: np.random.Generator, n: int, chances: tuple[float, float, float, float]) -> Cells:
    """Problems of which some are hard in all cells alike, solved at the planted rates; two samples a problem."""
    ease = rng.beta(2, 2, n)
    shares = [rng.binomial(2, np.clip(2 * ease * chance, 0, 1)) / 2 for chance in chances]
    return shares[0], shares[1], shares[2], shares[3]


def test_shares_are_the_mean_gain_over_the_orders_in_which_causes_are_changed() -> None:
    cells = outcomes(np.random.default_rng(0), 400, (0.1, 0.25, 0.3, 0.5))
    means = {frozenset(): 0, frozenset("f"): 1, frozenset("s"): 2, frozenset("fs"): 3}
    value = {causes: float(cells[number].mean()) for causes, number in means.items()}
    gains = {"f": 0.0, "s": 0.0}
    for order in permutations("fs"):
        for place, cause in enumerate(order):
            gains[cause] += (value[frozenset(order[: place + 1])] - value[frozenset(order[:place])]) / 2
    shares = shapley_shares_over_groups(*cells)
    gap = value[frozenset("fs")] - value[frozenset()]
    assert shares.gap.value == pytest.approx(gap)
    assert shares.first.value == pytest.approx(gains["f"] / gap)
    assert shares.second.value == pytest.approx(gains["s"] / gap)
    assert shares.interaction.value == pytest.approx(
        gap - shares.first_alone.value - shares.second_alone.value, abs=1e-12
    )


def test_the_two_shares_sum_to_one_and_their_ends_mirror_one_another() -> None:
    shares = shapley_shares_over_groups(*outcomes(np.random.default_rng(1), 200, (0.1, 0.3, 0.2, 0.45)))
    assert shares.first.value + shares.second.value == pytest.approx(1.0)
    assert shares.first.low + shares.second.high == pytest.approx(1.0, abs=2e-3)
    assert shares.first.high + shares.second.low == pytest.approx(1.0, abs=2e-3)


def test_a_cause_that_does_all_has_all_of_the_gap_and_the_other_none() -> None:
    base, trained = outcomes(np.random.default_rng(2), 300, (0.15, 0.45, 0.0, 0.0))[:2]
    shares = shapley_shares_over_groups(base, trained, base, trained)
    assert (shares.first.value, shares.second.value) == pytest.approx((1.0, 0.0))
    assert shares.second.low < 0 < shares.second.high < 0.1  # no difference on 300 problems is not certainty
    swapped = shapley_shares_over_groups(base, base, trained, trained)
    assert (swapped.first.value, swapped.second.value) == pytest.approx((0.0, 1.0))


@pytest.mark.parametrize("chances", [(0.1, 0.35, 0.12, 0.4), (0.15, 0.16, 0.35, 0.4), (0.1, 0.15, 0.2, 0.45)])
def test_intervals_cover_the_planted_shares_in_95_of_100_experiments(
    chances: tuple[float, float, float, float],
) -> None:
    rng, covered = np.random.default_rng(3), 0
    neither, first, second, both = (
        float(np.minimum(2 * rng.beta(2, 2, 10**6) * chance, 1).mean()) for chance in chances
    )
    planted = (first - neither + both - second) / 2 / (both - neither)
    for seed in range(300):
        share = shapley_shares_over_groups(*outcomes(rng, 120, chances), seed=seed % 4, n_resamples=1000).first
        covered += share.low <= planted <= share.high
    assert 0.92 <= covered / 300 <= 0.985


def test_samples_of_one_problem_are_resampled_together() -> None:
    cells = outcomes(np.random.default_rng(4), 100, (0.1, 0.3, 0.2, 0.45))
    copied = [np.repeat(cell, 8) for cell in cells]
    once, grouped = (
        shapley_shares_over_groups(*cells),
        shapley_shares_over_groups(*copied, groups=np.repeat(np.arange(100), 8)),
    )
    alone = shapley_shares_over_groups(*copied)
    width = once.first.high - once.first.low
    assert grouped.first.high - grouped.first.low == pytest.approx(width, rel=0.15)
    assert alone.first.high - alone.first.low < 0.5 * width
    assert (grouped.first.n, alone.first.n) == (100, 800)


def test_without_a_gap_there_are_no_shares_and_the_gap_is_still_measured() -> None:
    base = outcomes(np.random.default_rng(5), 200, (0.3, 0.0, 0.0, 0.0))[0]
    shares = shapley_shares_over_groups(base, base, base, base)
    assert all(isnan(end) for share in (shares.first, shares.second) for end in (share.value, share.low, share.high))
    assert shares.gap.low < 0 == shares.gap.value < shares.gap.high
    independent = shapley_shares_over_groups(*outcomes(np.random.default_rng(6), 60, (0.3, 0.3, 0.3, 0.3)))
    assert isnan(independent.first.value) and independent.first.n == 60


def test_a_model_that_training_made_worse_has_shares_of_its_loss() -> None:
    cells = outcomes(np.random.default_rng(7), 400, (0.1, 0.25, 0.3, 0.5))
    gain, loss = shapley_shares_over_groups(*cells), shapley_shares_over_groups(*cells[::-1])
    assert loss.gap.value == -gain.gap.value
    # Changed back one by one, each cause loses what it gained in the other order.
    assert loss.second.value == pytest.approx(gain.second.value)
    assert loss.second.low <= loss.second.value <= loss.second.high


def test_cells_of_different_problems_are_refused() -> None:
    with pytest.raises(ValueError, match="same questions"):
        shapley_shares_over_groups(np.zeros(4), np.zeros(4), np.zeros(3), np.zeros(4))
