from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import average_precision_score, balanced_accuracy_score, brier_score_loss, roc_curve

from reasonlens.probes.metrics import calibration, secondary_metrics
from reasonlens.probes.metrics.weighted import SecondaryMetrics
from reasonlens.stats import bootstrap_counts


def example(seed: int = 0, n: int = 400):
    generator = np.random.default_rng(seed)
    problems = generator.integers(40, size=n)
    positive = generator.random(n) < 0.3
    scores = np.round(generator.normal(size=n) + 1.5 * positive - 1.2, 1)  # ties occur
    return scores, positive, problems


def found(scores, positive, problems, folds, **options) -> SecondaryMetrics:
    return secondary_metrics(scores, positive, problems, folds, bootstrap_counts(40, 200, 0), **options)


def test_one_fold_gives_scikit_learns_figures() -> None:
    scores, positive, problems = example()
    one = found(scores, positive, problems, np.zeros_like(problems), are_log_odds=False)
    assert one.average_precision.value == pytest.approx(average_precision_score(positive, scores), abs=1e-12)
    assert one.accuracy.value == pytest.approx(balanced_accuracy_score(positive, scores > 0), abs=1e-12)
    false, true, _ = roc_curve(positive, scores, drop_intermediate=False)
    assert one.recall_at_1_percent.value == pytest.approx(true[false <= 0.01].max(), abs=1e-12)
    two = found(scores, positive, problems, problems % 2)
    assert two.brier.value == pytest.approx(brier_score_loss(positive, expit(scores)), abs=1e-12)


def test_a_resample_is_the_figure_of_the_examples_drawn() -> None:
    scores, positive, problems = example(n=150)
    counts = bootstrap_counts(40, 30, 1)
    by_hand = []
    for count in counts:
        rows = np.concatenate([np.repeat(np.flatnonzero(problems == p), int(count[p])) for p in range(40)])
        by_hand.append(average_precision_score(positive[rows], scores[rows]))
    drawn = secondary_metrics(scores, positive, problems, np.zeros_like(problems), counts).average_precision
    assert (drawn.low, drawn.high) == pytest.approx(tuple(np.quantile(by_hand, [0.025, 0.975])), abs=1e-12)


def test_ranks_of_different_folds_are_never_compared() -> None:
    scores, positive, problems = example()
    folds = problems % 4
    one = found(scores, positive, problems, folds)
    other = found(scores + 100 * (folds == 2), positive, problems, folds)
    assert one.average_precision.value == other.average_precision.value
    assert one.recall_at_1_percent.value == other.recall_at_1_percent.value
    parts = [
        (positive[folds == f].sum(), average_precision_score(positive[folds == f], scores[folds == f]))
        for f in range(4)
    ]
    assert one.average_precision.value == pytest.approx(sum(n * ap for n, ap in parts) / sum(n for n, _ in parts))


def test_scores_of_noise_are_worth_nothing_and_true_probabilities_are_calibrated() -> None:
    generator = np.random.default_rng(2)
    log_odds = generator.normal(size=20_000) - 1
    positive, problems = generator.random(20_000) < expit(log_odds), generator.integers(40, size=20_000)
    noise = found(generator.normal(size=20_000), positive, problems, problems % 5)
    assert noise.accuracy.value == pytest.approx(0.5, abs=0.03)
    assert noise.average_precision.value == pytest.approx(positive.mean(), abs=0.03)
    bins = calibration(log_odds, positive, problems, bootstrap_counts(40, 300, 0))
    assert len(bins) == 10 and sum(each.n for each in bins) == 20_000
    assert all(abs(each.predicted - each.observed.value) < 0.04 for each in bins)
    assert sum(each.observed.low <= each.predicted <= each.observed.high for each in bins) >= 8
    overconfident = calibration(3 * log_odds, positive, problems, bootstrap_counts(40, 300, 0))
    assert max(abs(each.predicted - each.observed.value) for each in overconfident) > 0.1


def test_without_a_positive_there_is_no_figure() -> None:
    scores, positive, problems = example(n=30)
    none = found(scores, np.zeros_like(positive), problems, np.zeros_like(problems))
    assert np.isnan(none.average_precision.value) and np.isnan(none.accuracy.value)
