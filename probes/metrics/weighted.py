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
    weights = np.concatenate([np.ones((1, counts.shape[1])), counts])[:, problems]  # row 0: all examples once
    sum_precision, n_recalled, n_positive = np.zeros((3, len(weights)))
    threshold = np.zeros(len(scores))
    for fold in np.unique(folds):
        test = folds == fold
        fold_positive, fold_precision, fold_recalled = _rank_sums(scores[test], positive[test], weights[:, test])
        n_positive += fold_positive
        sum_precision += fold_precision
        n_recalled += fold_recalled
        if are_log_odds and not test.all():
            share = np.clip(positive[~test].mean(), 1e-9, 1 - 1e-9)
            threshold[test] = np.log(share / (1 - share))
    above = scores > threshold
    n = min(len(np.unique(problems[members])) for members in (positive, ~positive))
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = [
            (weights[:, members] @ is_correct[members]) / weights[:, members].sum(axis=1)
            for members, is_correct in ((positive, above.astype(float)), (~positive, (~above).astype(float)))
        ]
        accuracy = (rates[0] + rates[1]) / 2
        square = (expit(scores) - positive) ** 2 if are_log_odds else np.full(len(scores), np.nan)
        brier = weights @ square / weights.sum(axis=1)
        return SecondaryMetrics(
            *(
                widened(float(values[0]), values[1:], widening, n)
                for values in (sum_precision / n_positive, n_recalled / n_positive, accuracy, brier)
            ),
        )


def _rank_sums(
    scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"], weights: Float[np.ndarray, "n_draws n"]
) -> tuple[Matrix, Matrix, Matrix]:
    """Sum over the positives of each resample: their weight, their precision, and how many pass the 1% threshold."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    end = np.searchsorted(-ordered, -ordered, side="right") - 1  # equal scores share one threshold
    positive_weights = weights[:, order] * positive[order]
    negative_weights = weights[:, order] - positive_weights
    true, false = positive_weights.cumsum(axis=1)[:, end], negative_weights.cumsum(axis=1)[:, end]
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(true + false > 0, true / (true + false), 0)
    passes = false <= FALSE_POSITIVE_RATE * negative_weights.sum(axis=1, keepdims=True)
    return (
        positive_weights.sum(axis=1),
        (positive_weights * precision).sum(axis=1),
        (positive_weights * passes).sum(axis=1),
    )
