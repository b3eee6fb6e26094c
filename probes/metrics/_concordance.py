"""AUROC from out-of-fold scores, with a bootstrap over problems.

    AUROC = share of (positive, negative) pairs that the probe ranks rightly, ties counting one half

Only pairs inside one test fold are compared: scores of different folds come from different probes, and pooling them
biases the AUROC (below 1/2 under no signal; Airola et al. 2011, Parker et al. 2007). Pairs are counted per pair of
problems, W[p, q] of P[p, q], so that resampling problems with counts c needs no recount:

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
    """Ranked and all (positive, negative) pairs inside one test fold, by problem of the positive and the negative."""

    problems: Int[np.ndarray, " n_fold_problems"]
    wins: Float[np.ndarray, "n_fold_problems n_fold_problems"]
    pairs: Float[np.ndarray, "n_fold_problems n_fold_problems"]


def concordance(
    scores: Float[np.ndarray, " n_examples"],
    positive: Bool[np.ndarray, " n_examples"],
    problems: Int[np.ndarray, " n_examples"],
    folds: Int[np.ndarray, " n_examples"],
    kept: Bool[np.ndarray, " n_examples"] | None = None,
) -> list[FoldPairs]:
    """The pairs of every fold, in the folds' order. `problems` are numbers; `kept` restricts to some examples."""
    kept = np.ones(len(scores), dtype=bool) if kept is None else kept
    result = []
    for fold in np.unique(folds):
        up = np.flatnonzero(kept & positive & (folds == fold))
        down = np.flatnonzero(kept & ~positive & (folds == fold))
        right = (scores[up, None] > scores[None, down]) + 0.5 * (scores[up, None] == scores[None, down])
        present = np.unique(problems[folds == fold])
        of_up = (problems[up, None] == present).astype(np.float64)  # (positive, problem)
        of_down = (problems[down, None] == present).astype(np.float64)  # (negative, problem)
        wins = of_up.T @ right @ of_down
        result.append(FoldPairs(present, wins, np.outer(of_up.sum(axis=0), of_down.sum(axis=0))))
    return result


def auroc(folds: list[FoldPairs]) -> float:
    """The share of pairs ranked rightly; NaN when there are none."""
    n_pairs = sum(float(fold.pairs.sum()) for fold in folds)
    return sum(float(fold.wins.sum()) for fold in folds) / n_pairs if n_pairs else float("nan")


def auroc_draws(folds: list[FoldPairs], counts: Matrix) -> Float[np.ndarray, " n_bootstrap"]:
    """Compute the AUROC of every resample (`counts`, from `stats.bootstrap_counts`); NaN where one holds no pair."""
    wins, pairs = np.zeros(len(counts)), np.zeros(len(counts))
    for fold in folds:
        times = counts[:, fold.problems]
        wins += ((times @ fold.wins) * times).sum(axis=1)
        pairs += ((times @ fold.pairs) * times).sum(axis=1)
    found: Matrix = np.divide(wins, pairs, out=np.full(len(counts), np.nan), where=pairs > 0)
    return found


def auroc_given_probes(folds: list[FoldPairs], counts: Matrix, level: float = LEVEL) -> Interval:
    """Estimate the AUROC with a percentile interval over problems, the folds and the fitted probes as they are.

    Args:
        folds: The pairs of every fold (`concordance`).
        counts: How often each problem is in each resample (`stats.bootstrap_counts`).
        level: Of the interval.

    Returns:
        The AUROC; n counts the problems that hold a pair. NaN where there is none.
    """
    paired = [fold.problems[fold.pairs.any(axis=0) | fold.pairs.any(axis=1)] for fold in folds]
    n = len(np.unique(np.concatenate(paired))) if paired else 0
    return Interval(auroc(folds), *percentile_ends(auroc_draws(folds, counts), level), n)
