"""No test over groups rejects more often than it says where nothing differs, however alike the questions of a problem.

Null experiments with 1, 2 and 4 questions a problem; what an arm (or a score, or a span) does is largely the problem's
own, so that questions counted as independent are significant far too often: the negative control.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from scipy.stats import binom

from reasonlens.stats import (
    accuracy_difference_over_groups,
    corrected_p_values,
    group_tests,
    p_value_of_draws,
    permutation_test_over_groups,
    row_permutations,
    sign_flip_test_over_groups,
)

N_SETS, N_GROUPS = 1000, 60
ALPHA = 0.05
MOST = float(binom.ppf(0.999, N_SETS, ALPHA)) / N_SETS  # 0.072: a test at its level exceeds it once in 1000 runs
Experiment = tuple[np.ndarray, np.ndarray, np.ndarray]  # arm, other, groups: one for each question


@cache
def experiments(per_group: int) -> tuple[Experiment, ...]:
    """Two arms that are equally good; which problems each solves is nearly all the problem's own."""
    generator = np.random.default_rng(per_group)
    groups = np.repeat(np.arange(N_GROUPS), per_group)
    difficulty = generator.beta(0.2, 0.2, size=(N_SETS, 2, N_GROUPS, 1))
    solved = generator.random((N_SETS, 2, N_GROUPS, per_group)) < difficulty
    return tuple((arm.ravel(), other.ravel(), groups) for arm, other in solved)


def flips(arm: np.ndarray, other: np.ndarray, groups: np.ndarray) -> float:
    return sign_flip_test_over_groups(arm, other, groups).p


def drawn_flips(arm: np.ndarray, other: np.ndarray, groups: np.ndarray) -> float:
    """Of scores with no two sums alike, whose flips cannot be counted."""
    noise = np.random.default_rng(int(arm.sum())).normal(scale=1e-3, size=len(arm))
    found = sign_flip_test_over_groups(arm + noise, other, groups, n_flips=199)
    assert not found.is_exact
    return found.p


def exchanges(arm: np.ndarray, other: np.ndarray, groups: np.ndarray) -> float:
    """Of the first arm's problems, in two halves."""
    first = groups < N_GROUPS // 2
    return permutation_test_over_groups(arm[first], arm[~first], groups[first], groups[~first], n_permutations=199).p


def interval(arm: np.ndarray, other: np.ndarray, groups: np.ndarray) -> float:
    """Not a test, but read as one: whether the interval of the difference leaves out 0."""
    found = accuracy_difference_over_groups(arm, other, groups, n_resamples=400)
    return 0.0 if found.low > 0 or found.high < 0 else 1.0


def labels_within(arm: np.ndarray, other: np.ndarray, groups: np.ndarray) -> float:
    """Of a score against labels, both largely the problem's own, labels permuted within the problem."""
    generator = np.random.default_rng(int(arm.sum()) * 1000 + int(other.sum()))
    scores = arm + generator.normal(size=len(arm))
    labels = generator.random(len(arm)) < 0.25 + 0.5 * other  # so that a problem holds both
    orders = row_permutations(len(arm), 39, generator, groups)
    return p_value_of_draws(float(labels @ scores), labels[orders] @ scores)


def corrected(arm: np.ndarray, other: np.ndarray, groups: np.ndarray) -> float:
    """Of the best of six figures, against draws that have six too and are alike within one draw."""
    generator = np.random.default_rng(int(arm.sum()) * 1000 + int(other.sum()))
    figures = generator.normal(size=(6, 100)) + generator.normal(size=(1, 100))
    return float(corrected_p_values(figures[:, 0], figures[:, 1:]).min())


def rejected(test: Callable[..., float], per_group: int) -> float:
    return float(np.mean([test(*experiment) <= ALPHA for experiment in experiments(per_group)]))


@pytest.mark.parametrize(
    ("test", "per_group"),
    [
        *((test, n) for test in (flips, drawn_flips, exchanges, interval, corrected) for n in (1, 2, 4)),
        *((labels_within, n) for n in (2, 4)),  # a problem of one span has no other order
    ],
)
def test_no_test_over_groups_rejects_more_often_than_it_says(
    test: Callable[..., float], per_group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lower end: exact tests of few whole numbers are below their level, and none is so by much."""
    if test is drawn_flips:
        monkeypatch.setattr(group_tests, "MOST_SUMS", 64)  # so that giving up the count takes no time
    assert 0.015 <= rejected(test, per_group) <= MOST


@pytest.mark.parametrize(("per_group", "at_least"), [(1, 0.0), (2, 0.1), (4, 0.2)])
def test_questions_counted_as_independent_are_significant_far_too_often(per_group: int, at_least: float) -> None:
    """McNemar's exact test of questions, by the binomial alone."""
    n_better, n_worse = np.array([(np.sum(a & ~b), np.sum(b & ~a)) for a, b, _ in experiments(per_group)]).T
    p_values = np.minimum(1, 2 * binom.cdf(np.minimum(n_better, n_worse), n_better + n_worse, 0.5))
    found = float(np.mean(p_values <= ALPHA))
    assert found > at_least if per_group > 1 else found <= MOST
