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

Matrix = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, eq=False, slots=True)
class Estimate:
    """A figure with its bootstrap interval; NaN where there is nothing to estimate it from."""

    value: float
    low: float = float("nan")
    high: float = float("nan")


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


def resamples(n_problems: int, n_bootstrap: int, seed: int) -> Matrix:
    """How often each problem occurs in each bootstrap resample of the problems: (n_bootstrap, n_problems)."""
    drawn = np.random.default_rng(seed).multinomial(n_problems, np.full(n_problems, 1 / n_problems), size=n_bootstrap)
    return drawn.astype(np.float64)


def auroc_draws(folds: list[FoldPairs], counts: Matrix) -> Float[np.ndarray, " n_bootstrap"]:
    """AUROC of every resample of the problems (`counts`, from `resamples`); NaN where one holds no pair."""
    wins, pairs = np.zeros(len(counts)), np.zeros(len(counts))
    for fold in folds:
        times = counts[:, fold.problems]
        wins += ((times @ fold.wins) * times).sum(axis=1)
        pairs += ((times @ fold.pairs) * times).sum(axis=1)
    found: Matrix = np.divide(wins, pairs, out=np.full(len(counts), np.nan), where=pairs > 0)
    return found


def auroc_interval(folds: list[FoldPairs], counts: Matrix, level: float = 0.95) -> Estimate:
    """AUROC with the percentile interval over `counts` (from `resamples`)."""
    return Estimate(auroc(folds), *interval(auroc_draws(folds, counts), level))


def interval(values: Matrix, level: float = 0.95) -> tuple[float, float]:
    """The percentile interval of bootstrap values that are not NaN; NaN when there are none."""
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
