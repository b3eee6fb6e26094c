"""The interval of a cross-validated AUROC: its parts by hand, its edges, and what has none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm, t

from reasonlens.probes.metrics import (
    CrossValidated,
    Error,
    expected_auroc,
    expected_difference,
    training_changes,
    widened,
)
from reasonlens.stats import bootstrap_counts, percentile_ends


def test_changes_are_those_of_the_other_folds_by_their_share_of_pairs() -> None:
    wins, pairs = np.array([[6.0, 8.0, 3.0]]), np.array([[10.0, 10.0, 5.0]])
    inner = np.array([[[0.0, 7.0, 2.0], [5.0, 0.0, 3.0], [6.0, 9.0, 0.0]]])
    inner_pairs = pairs[:, None] * (1 - np.eye(3))
    assert training_changes(wins, pairs, inner, inner_pairs) == pytest.approx(np.array([-2, -1, 1]) / 25)


def test_a_choice_that_hangs_on_one_fold_is_made_again_without_it() -> None:
    """Fold 2 alone speaks for the second candidate; without it the first is chosen for folds 0 and 1."""
    pairs = np.full((2, 3), 10.0)
    inner_pairs = np.full((2, 3, 3), 10.0) * (1 - np.eye(3))
    inner = np.array([[[0, 7, 1], [7, 0, 1], [7, 7, 0]], [[0, 6, 9], [6, 0, 9], [6, 6, 0]]], dtype=float)
    wins = np.array([[7, 7, 1], [6, 6, 9]], dtype=float)
    changes = training_changes(wins, pairs, inner, inner_pairs)
    assert changes[2] == pytest.approx(((7 - 6) + (7 - 6)) / 30)  # of folds 0 and 1, by the first candidate now
    assert changes[0] == pytest.approx(((6 - 6) + (1 - 1)) / 30)  # of fold 1 by the second, of fold 2 by the first


def test_the_error_adds_what_tests_and_training_sets_bring() -> None:
    draws = np.random.default_rng(0).normal(0.8, 0.03, 4000)
    alone = Error.of(draws, np.zeros(5), 20).size
    assert alone == pytest.approx(np.std(draws) * math.sqrt(20 / 19))
    changes = np.array([0.02, -0.01, 0.0, -0.03, 0.02])
    both = Error.of(draws, changes, 20)
    assert both.size == pytest.approx(math.hypot(alone, math.sqrt(0.0018)))
    assert Error.of(draws, changes + 0.5, 20).size == pytest.approx(both.size)
    assert Error.of(np.append(draws, np.nan), np.zeros(5), 20).size == pytest.approx(alone)
    freedom = 4 * (both.size**2 / 0.0018) ** 2  # of five training sets; that of the tests is taken for known
    assert both.freedom == pytest.approx(freedom)
    assert both.distance() == pytest.approx(float(t.ppf(0.975, freedom)) * both.size)
    assert Error.of(draws, np.zeros(5), 20).distance(0.9) == pytest.approx(1.644854 * alone, rel=1e-6)
    assert Error.of(np.full(9, 0.5), np.zeros(5), 20).distance() == 0


def test_ends_are_even_in_probits_and_stay_between_0_and_1() -> None:
    interval = expected_auroc(0.95, 1.959964 * 0.04, 30)
    distances = norm.ppf(interval.high) - norm.ppf(0.95), norm.ppf(0.95) - norm.ppf(interval.low)
    assert distances == pytest.approx([1.959964 * 0.04 / norm.pdf(norm.ppf(0.95))] * 2, rel=1e-6)
    assert 0 < interval.low < 0.87 and 0.985 < interval.high < 1
    band = expected_auroc(0.95, 2.6 * 0.04, 30)
    assert band.low < interval.low and band.high > interval.high


def test_a_probe_that_ranks_all_pairs_right_is_not_certain() -> None:
    assert expected_auroc(1.0, 0.0, 30).low == pytest.approx(0.9)
    assert expected_auroc(1.0, 0.0, 30).high == 1.0
    assert expected_auroc(0.0, 0.01, 60).high == pytest.approx(0.05)


def test_few_problems_have_no_interval() -> None:
    for interval in (
        expected_auroc(0.8, 0.05, 9),
        expected_difference(0.1, 0.05, 9),
        widened(0.8, np.array([0.7, 0.9]), 1.2, 9),
        expected_auroc(float("nan"), 0.05, 90),
    ):
        assert math.isnan(interval.low) and math.isnan(interval.high)


def test_a_figure_is_widened_about_its_value_within_its_bounds() -> None:
    draws = np.random.default_rng(0).uniform(0.5, 0.9, 1000)
    low, high = percentile_ends(draws)
    interval = widened(0.7, draws, 1.5, 30)
    assert (interval.low, interval.high) == pytest.approx((0.7 - 1.5 * (0.7 - low), 0.7 + 1.5 * (high - 0.7)))
    assert widened(0.7, draws, 9.0, 30).high == 1.0


def test_two_scores_of_the_same_spans_are_compared_in_pairs() -> None:
    generator = np.random.default_rng(0)
    problems, positive = np.repeat(np.arange(40), 5), generator.random(200) < 0.5
    shared = positive + generator.normal(size=200)
    counts, folds = bootstrap_counts(40, 500, 0), problems % 5

    def of(scores: np.ndarray, changes: np.ndarray) -> CrossValidated:
        return CrossValidated.of(scores, positive, problems, folds, counts, changes)

    first, same = of(shared, np.full(5, 0.01)), of(2 * shared + 1, np.full(5, 0.01))
    assert (first.minus(same).low, first.minus(same).high) == (0.0, 0.0)
    near = of(shared + 0.05 * generator.normal(size=200), np.zeros(5))
    apart = of(generator.permutation(shared), np.zeros(5))
    assert first.minus(near).high - first.minus(near).low < 0.1 * (first.interval().high - first.interval().low) * 4
    assert first.minus(apart).low > 0 and first.widening == pytest.approx(1.0)
    assert first.minus(apart).value == pytest.approx(first.value - apart.value)
    assert first.n == min(len(set(problems[positive])), len(set(problems[~positive])))
