"""What a probe is worth beside its AUROC, with intervals over resampled problems.

    average precision    mean over positives of the precision at their score, inside each fold
    recall at 1% FPR     share of the positives above the score that 1% of the fold's negatives pass
    accuracy             (true positive rate + true negative rate) / 2: accuracy at equal prevalence, at the threshold
                         of the training share of the class
    Brier score          mean of (p - y)^2, p the probability of the log odds; sharp and calibrated is low

Ranks are compared inside a fold only (see `concordance.py`). A resample of problems is a weight for every example.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import expit

from ...stats import Interval, percentile_ends
from ._concordance import Matrix

FALSE_POSITIVE_RATE = 0.01


@dataclass(frozen=True, eq=False, slots=True)
class Worth:
    """Figures of one probe, each with a 95% interval over problems."""

    average_precision: Interval
    recall_at_1_percent: Interval
    accuracy: Interval
    brier: Interval  # NaN where scores are no log odds


def worth(
    scores: Float[np.ndarray, " n_examples"],
    positive: Bool[np.ndarray, " n_examples"],
    problems: Int[np.ndarray, " n_examples"],
    folds: Int[np.ndarray, " n_examples"],
    counts: Matrix,
    *,
    are_log_odds: bool = True,
) -> Worth:
    """Figures of out-of-fold scores. counts: resamples of the problems (`stats.bootstrap_counts`)."""
    weights = np.concatenate([np.ones((1, counts.shape[1])), counts])[:, problems]  # the data as they are come first
    precise, recalled, of = np.zeros(len(weights)), np.zeros(len(weights)), np.zeros(len(weights))
    threshold = np.zeros(len(scores))
    for fold in np.unique(folds):
        test = folds == fold
        n_up, sum_precision, n_recalled = _ranked(scores[test], positive[test], weights[:, test])
        of += n_up
        precise += sum_precision
        recalled += n_recalled
        if are_log_odds and not test.all():
            share = np.clip(positive[~test].mean(), 1e-9, 1 - 1e-9)
            threshold[test] = np.log(share / (1 - share))
    above = scores > threshold
    n = len(np.unique(problems))
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = [
            (weights[:, chosen] @ right[chosen]) / weights[:, chosen].sum(axis=1)
            for chosen, right in ((positive, above.astype(float)), (~positive, (~above).astype(float)))
        ]
        accuracy = (rates[0] + rates[1]) / 2
        square = (expit(scores) - positive) ** 2 if are_log_odds else np.full(len(scores), np.nan)
        brier = weights @ square / weights.sum(axis=1)
        return Worth(
            *(
                Interval(float(values[0]), *percentile_ends(values[1:]), n)
                for values in (precise / of, recalled / of, accuracy, brier)
            ),
        )


def _ranked(
    scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"], weights: Float[np.ndarray, "n_draws n"]
) -> tuple[Matrix, Matrix, Matrix]:
    """Of every draw: weight of the positives, the sum of their precisions, and how many stand above 1% of the rest."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    end = np.searchsorted(-ordered, -ordered, side="right") - 1  # equal scores stand or fall together
    up = weights[:, order] * positive[order]
    down = weights[:, order] - up
    true, false = up.cumsum(axis=1)[:, end], down.cumsum(axis=1)[:, end]
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(true + false > 0, true / (true + false), 0)
    passes = false <= FALSE_POSITIVE_RATE * down.sum(axis=1, keepdims=True)
    return up.sum(axis=1), (up * precision).sum(axis=1), (up * passes).sum(axis=1)
