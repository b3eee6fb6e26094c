"""Compute AUROC from out-of-fold scores, with a bootstrap over problems.

    AUROC = share of (positive, negative) pairs that the probe ranks correctly; a tie counts one half

Only pairs inside one test fold are compared: scores of different folds come from different probes, and pooling them
biases the AUROC (below 1/2 without signal; Airola et al. 2011, Parker et al. 2007). Pairs are counted for each pair of
problems, W[p, q] wins of P[p, q] pairs, so that resampling problems with counts c needs no recount:

    AUROC_c = sum_folds c' W c / sum_folds c' P c
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from ...stats import LEVEL, Interval, percentile_ends

Matrix = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, eq=False, slots=True)
class FoldPairs:
    """Correctly ranked (positive, negative) pairs of one test fold, by the problems of both examples."""

    problems: Int[np.ndarray, " n_fold_problems"]
    wins: Float[np.ndarray, "n_fold_problems n_fold_problems"]
    n_positive: Float[np.ndarray, " n_fold_problems"]
    n_negative: Float[np.ndarray, " n_fold_problems"]

    @property
    def n_pairs(self) -> float:
        """All pairs of the fold."""
        return float(self.n_positive.sum() * self.n_negative.sum())


def concordance(
    scores: Float[np.ndarray, " n_examples"],
    positive: Bool[np.ndarray, " n_examples"],
    problems: Int[np.ndarray, " n_examples"],
    folds: Int[np.ndarray, " n_examples"],
    included: Bool[np.ndarray, " n_examples"] | None = None,
) -> list[FoldPairs]:
    """Count the pairs of every fold.

    Args:
        scores: Out-of-fold score of each example.
        positive: Whether the example shows the behaviour.
        problems: The problem of each example, as a number.
        folds: The fold of each example.
        included: The examples to compare; None means all.

    Returns:
        The pairs, in the order of the folds.
    """
    (pairs,) = concordance_by_layer(scores[None], positive, problems, folds, included)
    return pairs


def concordance_by_layer(
    scores: Float[np.ndarray, "n_layers n_examples"],
    positive: Bool[np.ndarray, " n_examples"],
    problems: Int[np.ndarray, " n_examples"],
    folds: Int[np.ndarray, " n_examples"],
    included: Bool[np.ndarray, " n_examples"] | None = None,
) -> list[list[FoldPairs]]:
    """Count the pairs of every fold at every layer; which examples make a pair is found once for all layers.

    Args:
        scores: Out-of-fold score of each example at each layer.
        positive: Whether the example shows the behaviour.
        problems: The problem of each example, as a number.
        folds: The fold of each example.
        included: The examples to compare; None means all.

    Returns:
        For each layer the pairs, in the order of the folds.
    """
    included = np.ones(len(positive), dtype=bool) if included is None else included
    by_layer: list[list[FoldPairs]] = [[] for _ in scores]
    for fold in np.unique(folds):
        positives = np.flatnonzero(included & positive & (folds == fold))
        negatives = np.flatnonzero(included & ~positive & (folds == fold))
        fold_problems = np.unique(problems[folds == fold])
        positive_in = (problems[positives, None] == fold_problems).astype(np.float64)  # (n_positives, n_problems)
        negative_in = (problems[negatives, None] == fold_problems).astype(np.float64)  # (n_negatives, n_problems)
        n_positive, n_negative = positive_in.sum(axis=0), negative_in.sum(axis=0)
        for layer_scores, pairs in zip(scores, by_layer, strict=True):
            higher, lower = layer_scores[positives, None], layer_scores[None, negatives]
            is_correct = (higher > lower) + 0.5 * (higher == lower)
            wins = positive_in.T @ is_correct @ negative_in
            pairs.append(FoldPairs(fold_problems, wins, n_positive, n_negative))
    return by_layer


def auroc(folds: list[FoldPairs]) -> float:
    """Compute the share of pairs that are ranked correctly.

    Args:
        folds: The pairs of every fold (`concordance`).

    Returns:
        The AUROC; NaN if there is no pair.
    """
    n_pairs = sum(fold.n_pairs for fold in folds)
    return sum(float(fold.wins.sum()) for fold in folds) / n_pairs if n_pairs else float("nan")


def auroc_draws(folds: list[FoldPairs], counts: Matrix) -> Float[np.ndarray, " n_bootstrap"]:
    """Compute the AUROC of every resample of the problems.

    Args:
        folds: The pairs of every fold (`concordance`).
        counts: How often each problem is in each resample (`stats.bootstrap_counts`).

    Returns:
        The AUROC of each resample; NaN where it holds no pair.
    """
    wins, pairs = np.zeros(len(counts)), np.zeros(len(counts))
    for fold in folds:
        times = counts[:, fold.problems]
        wins += np.einsum("ij,ij->i", times @ fold.wins, times)
        pairs += (times @ fold.n_positive) * (times @ fold.n_negative)
    aurocs: Matrix = np.divide(wins, pairs, out=np.full(len(counts), np.nan), where=pairs > 0)
    return aurocs


def auroc_given_probes(folds: list[FoldPairs], counts: Matrix, level: float = LEVEL) -> Interval:
    """Estimate the AUROC with a percentile interval over problems, the folds and the fitted probes as they are.

    Args:
        folds: The pairs of every fold (`concordance`).
        counts: How often each problem is in each resample (`stats.bootstrap_counts`).
        level: Of the interval.

    Returns:
        The AUROC; n counts the problems that hold a pair. NaN where there is none.
    """
    paired = [fold.problems[(fold.n_positive + fold.n_negative) > 0] for fold in folds if fold.n_pairs]
    n = len(np.unique(np.concatenate(paired))) if paired else 0
    return Interval(auroc(folds), *percentile_ends(auroc_draws(folds, counts), level), n)
