"""Coefficients of agreement against published worked examples, scikit-learn, loops over units, and chance."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from reasonlens.stats import (
    cohen_kappa_over_groups,
    fleiss_kappa_over_groups,
    krippendorff_alpha_over_groups,
    wilson_proportion,
)

# Fleiss 1971, as Wikipedia works it out: how many of 14 annotators gave each of 5 labels to each of 10 units.
FLEISS = """0 0 0 0 14
0 2 6 4 2
0 0 3 5 6
0 3 9 2 0
2 2 8 1 1
7 7 0 0 0
3 2 6 3 0
2 5 3 2 2
6 5 2 1 0
0 2 2 3 7"""
# Krippendorff 2011, "Computing Krippendorff's alpha-reliability", example C: 4 observers, 12 units, missing labels.
OBSERVERS = """1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 ."""


def codes(table: str) -> np.ndarray:
    rows = [[-1 if cell == "." else int(cell) for cell in row.split()] for row in table.splitlines()]
    return np.array(rows).T


def raters(rng: np.random.Generator, n: int, n_annotators: int, share: float, n_labels: int = 4) -> np.ndarray:
    """Label `n` units; each annotator gives the truth in `share` of them and any label in the others."""
    truth = rng.integers(n_labels, size=(n, 1))
    guesses = rng.integers(n_labels, size=(n, n_annotators))
    return np.where(rng.random((n, n_annotators)) < share, truth, guesses)


def test_cohens_kappa_is_that_of_the_worked_example_and_of_scikit_learn() -> None:
    # 50 proposals: both yes 20, only the first 5, only the second 10, both no 15: (0.7 - 0.5) / (1 - 0.5) = 0.4.
    first, second = np.repeat([1, 1, 0, 0], [20, 5, 10, 15]), np.repeat([1, 0, 1, 0], [20, 5, 10, 15])
    assert cohen_kappa_over_groups(first, second).value == pytest.approx(0.4)
    labels = raters(np.random.default_rng(0), 500, 2, 0.6)
    figure = cohen_kappa_over_groups(*labels.T)
    assert figure.value == pytest.approx(cohen_kappa_score(*labels.T)) and figure.low < figure.value < figure.high


def test_fleiss_kappa_is_that_of_the_worked_example() -> None:
    counts = [[int(cell) for cell in row.split()] for row in FLEISS.splitlines()]
    labels = np.array([np.repeat(np.arange(5), row) for row in counts])
    assert fleiss_kappa_over_groups(labels).value == pytest.approx(0.20993, abs=1e-5)


def test_krippendorffs_alpha_is_that_of_the_worked_examples() -> None:
    assert krippendorff_alpha_over_groups(codes(OBSERVERS)).value == pytest.approx(0.743, abs=5e-4)
    two = np.array([["aabbdcccedda".index(c) for c in row] for row in ("aabbdcccedda", "babbbccceddd")]).T
    assert krippendorff_alpha_over_groups(two).value == pytest.approx(0.692, abs=5e-4)  # its example B


def test_alpha_is_a_loop_over_pairs_of_labels() -> None:
    rng = np.random.default_rng(3)
    labels = np.where(rng.random((60, 3)) < 0.2, -1, raters(rng, 60, 3, 0.5))
    pairs: list[tuple[int, int, float]] = []
    for unit in labels:
        known = [label for label in unit if label >= 0]
        pairs += [(a, b, 2 / (len(known) - 1)) for a, b in combinations(known, 2)]
    pooled = [label for unit in labels if (unit >= 0).sum() >= 2 for label in unit if label >= 0]
    n = len(pooled)
    seen = sum(weight for a, b, weight in pairs if a != b) / n
    by_chance = sum(a != b for a, b in combinations(pooled, 2)) * 2 / (n * (n - 1))
    assert krippendorff_alpha_over_groups(labels).value == pytest.approx(1 - seen / by_chance)


def test_of_two_who_label_everything_alpha_is_fleiss_kappa_corrected_for_the_number_of_units() -> None:
    labels = raters(np.random.default_rng(1), 40, 2, 0.5)
    pi = fleiss_kappa_over_groups(labels).value
    assert krippendorff_alpha_over_groups(labels).value == pytest.approx(pi + (1 - pi) / 80)


@pytest.mark.parametrize("coefficient", [fleiss_kappa_over_groups, krippendorff_alpha_over_groups])
def test_planted_agreement_is_recovered_and_chance_is_0_within_the_interval_in_95_of_100(coefficient) -> None:
    rng = np.random.default_rng(5)
    # Two annotators agree beyond chance where both give the truth.
    assert coefficient(raters(rng, 20_000, 3, 0.7)).value == pytest.approx(0.49, abs=0.02)
    figures = [coefficient(raters(rng, 120, 3, 0.0)) for _ in range(200)]
    assert 0.9 <= np.mean([figure.low <= 0 <= figure.high for figure in figures]) <= 0.99
    assert abs(np.mean([figure.value for figure in figures])) < 0.01


def test_units_of_one_problem_count_together() -> None:
    rng = np.random.default_rng(7)
    by_problem = raters(rng, 40, 2, 0.5)
    labels, problems = np.repeat(by_problem, 10, axis=0), np.repeat(np.arange(40), 10)
    alone, together = cohen_kappa_over_groups(*labels.T), cohen_kappa_over_groups(*labels.T, problems)
    assert together.value == alone.value and (together.n, alone.n) == (40, 400)
    widths = [figure.high - figure.low for figure in (together, alone)]
    assert widths[0] / widths[1] == pytest.approx(10**0.5, rel=0.15)
    once = cohen_kappa_over_groups(*by_problem.T)
    assert (together.low, together.high) == pytest.approx((once.low, once.high), abs=0.03)


def test_perfect_agreement_is_1_without_certainty_and_one_label_throughout_has_no_kappa() -> None:
    labels = np.repeat(np.arange(4)[:, None], 2, axis=1).repeat(3, axis=0)
    low = wilson_proportion(np.ones(12)).low
    figure = cohen_kappa_over_groups(*labels.T)
    assert (figure.value, figure.low, figure.high) == pytest.approx((1, (low - 0.25) / 0.75, 1))
    for coefficient in (fleiss_kappa_over_groups, krippendorff_alpha_over_groups):
        assert coefficient(labels).value == 1 and coefficient(labels).low < 0.9
        assert np.isnan(coefficient(np.zeros((5, 2), dtype=int)).value)


def test_units_that_lack_a_label_are_left_out_where_all_are_needed() -> None:
    labels = np.array([[0, 0, 1], [1, 1, 1], [0, 1, -1], [0, -1, -1]])
    assert fleiss_kappa_over_groups(labels).n == 2
    assert krippendorff_alpha_over_groups(labels).n == 3
    assert cohen_kappa_over_groups(labels[:, 0], labels[:, 2]).n == 2


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="on the same units, not on 1 and 2"):
        cohen_kappa_over_groups(np.zeros(1, dtype=int), np.zeros(2, dtype=int))
    with pytest.raises(ValueError, match="between two annotators or more"):
        fleiss_kappa_over_groups(np.zeros((3, 1), dtype=int))
    with pytest.raises(ValueError, match="none of 3 units has 2 labels"):
        krippendorff_alpha_over_groups(np.full((3, 2), -1))
    with pytest.raises(ValueError, match="one group, and there are 2 and 1"):
        fleiss_kappa_over_groups(np.zeros((2, 2), dtype=int), ["a"])
