"""Compute metrics of a probe other than AUROC, with intervals over resampled problems.

    average precision    mean over positives of the precision at their score, inside each fold
    recall at 1% FPR     share of the positives above the score that 1% of the fold's negatives pass
    accuracy             (true positive rate + true negative rate) / 2: accuracy at equal prevalence, at the threshold
                         of the training share of the class
    Brier score          mean of (p - y)^2, p the probability from the log odds; low if sharp and calibrated

Ranks are compared inside a fold only (see `_concordance.py`). A resample of problems is a weight for every example; the
intervals are as much wider than its percentiles as that of the AUROC of the same probes is (`expected.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import expit

from ...rundir import brief
from ...stats import Interval
from ._concordance import Matrix
from .expected import widened

FALSE_POSITIVE_RATE = 0.01


@dataclass(frozen=True, eq=False, slots=True)
class SecondaryMetrics:
    """Metrics of one probe, each with a 95% interval over problems."""

    average_precision: Interval
    recall_at_1_percent: Interval
    accuracy: Interval
    brier: Interval  # NaN if scores are no log odds

    __repr__ = brief


def secondary_metrics(
    scores: Float[np.ndarray, " n_examples"],
    positive: Bool[np.ndarray, " n_examples"],
    problems: Int[np.ndarray, " n_examples"],
    folds: Int[np.ndarray, " n_examples"],
    counts: Matrix,
    *,
    are_log_odds: bool = True,
    widening: float = 1.0,
) -> SecondaryMetrics:
    """Compute the metrics of out-of-fold scores.

    Args:
        scores: Out-of-fold score of each example.
        positive: Whether the example shows the behaviour.
        problems: The problem of each example, as a number.
        folds: The fold of each example.
        counts: How often each problem is in each resample (`stats.bootstrap_counts`).
        are_log_odds: Whether scores are log odds; otherwise the threshold is 0 and there is no Brier score.
        widening: What the training sets add to the intervals (`CrossValidated.widening`).

    Returns:
        The metrics.
    """
    counts = np.concatenate([np.ones((1, counts.shape[1])), counts])  # row 0: all examples once
    sum_precision, n_recalled, n_positive = np.zeros((3, len(counts)))
    threshold = np.zeros(len(scores))
    for fold in np.unique(folds):
        test = folds == fold
        fold_positive, fold_precision, fold_recalled = _rank_sums(scores[test], positive[test], problems[test], counts)
        n_positive += fold_positive
        sum_precision += fold_precision
        n_recalled += fold_recalled
        if are_log_odds and not test.all():
            share = np.clip(positive[~test].mean(), 1e-9, 1 - 1e-9)
            threshold[test] = np.log(share / (1 - share))
    is_right = (scores > threshold) == positive
    n = min(len(np.unique(problems[members])) for members in (positive, ~positive))

    def sums(values: Float[np.ndarray, " n_examples"], members: Bool[np.ndarray, " n_examples"]) -> Matrix:
        return counts @ np.bincount(problems[members], values[members], minlength=counts.shape[1])

    everywhere, ones = np.ones_like(positive), np.ones(len(scores))
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = [sums(is_right, members) / sums(ones, members) for members in (positive, ~positive)]
        accuracy = (rates[0] + rates[1]) / 2
        square = (expit(scores) - positive) ** 2 if are_log_odds else np.full(len(scores), np.nan)
        brier = sums(square, everywhere) / sums(ones, everywhere)
        return SecondaryMetrics(
            *(
                widened(float(values[0]), values[1:], widening, n)
                for values in (sum_precision / n_positive, n_recalled / n_positive, accuracy, brier)
            ),
        )


def _rank_sums(
    scores: Float[np.ndarray, " n"],
    positive: Bool[np.ndarray, " n"],
    problems: Int[np.ndarray, " n"],
    counts: Float[np.ndarray, "n_draws n_problems"],
) -> tuple[Matrix, Matrix, Matrix]:
    """Sum over the positives of each resample: their weight, their precision, and how many pass the 1% threshold.

    What stands at or above a positive is counted by problem once, and weighted for each resample by a product.
    """
    present, problems = np.unique(problems, return_inverse=True)
    counts = counts[:, present]
    is_above = scores >= scores[positive, None]  # (n_positive, n); equal scores share one threshold
    of_problem = problems[:, None] == np.arange(len(present))  # (n, n_problems)
    true = counts @ (is_above[:, positive].astype(np.float64) @ of_problem[positive]).T  # (n_draws, n_positive)
    false = counts @ (is_above[:, ~positive].astype(np.float64) @ of_problem[~positive]).T
    weights = counts[:, problems[positive]]
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(true + false > 0, true / (true + false), 0)
    passes = false <= FALSE_POSITIVE_RATE * counts[:, problems[~positive]].sum(axis=1, keepdims=True)
    return weights.sum(axis=1), (weights * precision).sum(axis=1), (weights * passes).sum(axis=1)
