"""Estimate what AUROC probes reach on average on fresh problems, from one cross-validation.

Resampling the problems with the fitted probes as they are counts the luck of the test problems alone, and is too
narrow: every pair of problems meets twice, once with each of them trained on. So the luck of the training problems is
added, from fits that leave one more fold out (those that choose the penalty):

    V   = V_test m / (m - 1) + sum_f (D_f - mean D)^2          m: problems that were resampled
    D_f = change of the AUROC on the other folds if fold f is left out of their choice and training too
    ends: of probit(AUROC) -/+ c sqrt(V) / phi(probit(AUROC)), c: 1.96, or for a band over layers that of the maximum

What is covered is the mean AUROC, over training sets of as many problems as each fold was trained on, of the whole
procedure with its choice of penalty (and layer); not that of the probe at hand. docs/statistics.md shows how often.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import norm

from ...stats import LEVEL, Interval, percentile_ends

FEWEST_PROBLEMS = 10  # with an example, and without one; with fewer no interval is given
FEWEST_PAIRS = 100  # inside the folds; with fewer, intervals cover far more than they say
Matrix = np.ndarray[Any, np.dtype[np.float64]]


def training_changes(
    wins: Float[np.ndarray, "n_candidates n_folds"],
    pairs: Float[np.ndarray, "n_candidates n_folds"],
    inner_wins: Float[np.ndarray, "n_candidates n_folds n_folds"],
    inner_pairs: Float[np.ndarray, "n_candidates n_folds n_folds"],
) -> Float[np.ndarray, " n_folds"]:
    """Compute how the AUROC of the chosen candidates changes if one more fold is left out of choice and training.

    Args:
        wins: Correctly ranked pairs of every test fold, for each candidate (penalty, or layer and penalty).
        pairs: All pairs of every test fold.
        inner_wins: Correctly ranked pairs of the test fold (last) if the fold before it is left out of training too.
        inner_pairs: All pairs, likewise.

    Returns:
        One change for each fold that is left out, in units of AUROC; negative where the fold helped.
    """
    n_folds = wins.shape[1]
    chosen = best_candidate(inner_wins.sum(axis=2), inner_pairs.sum(axis=2))  # of each test fold
    changes = np.zeros(n_folds)
    for left_out in range(n_folds):
        is_tested = np.arange(n_folds) != left_out
        chosen_without = best_candidate(
            inner_wins[:, :, is_tested].sum(axis=2), inner_pairs[:, :, is_tested].sum(axis=2)
        )
        for tested in np.flatnonzero(is_tested):
            changes[left_out] += inner_wins[chosen_without[tested], left_out, tested] - wins[chosen[tested], tested]
    total: float = pairs[chosen, np.arange(n_folds)].sum()
    by_fold: Matrix = changes / total
    return by_fold


def best_candidate(
    wins: Float[np.ndarray, "n_candidates n_folds"], pairs: Float[np.ndarray, "n_candidates n_folds"]
) -> Int[np.ndarray, " n_folds"]:
    """Find the first candidate with the highest share of wins for each fold.

    Args:
        wins: Correctly ranked pairs of each fold, for each candidate.
        pairs: All pairs, likewise.

    Returns:
        The number of the candidate for each fold; 0 where none has a pair.
    """
    shares = np.divide(wins, pairs, out=np.full(wins.shape, -1.0), where=pairs > 0)
    index: np.ndarray[Any, np.dtype[np.int64]] = shares.argmax(axis=0)
    return index


def standard_error(
    draws: Float[np.ndarray, " n_resamples"], changes: Float[np.ndarray, " n_folds"], n_problems: int
) -> float:
    """Compute the standard error of a cross-validated figure.

    Args:
        draws: The figure in every resample of the problems, the fitted probes as they are.
        changes: Its changes if one more fold is left out of the training (`training_changes`).
        n_problems: Problems that were resampled.

    Returns:
        The standard error; 0 where nothing varies.
    """
    finite = draws[np.isfinite(draws)]
    of_tests = finite.var() * n_problems / (n_problems - 1) if len(finite) else 0.0
    return float(np.sqrt(of_tests + np.square(changes - changes.mean()).sum()))


def expected_auroc(value: float, error: float, n: int, quantile: float = float(norm.ppf((1 + LEVEL) / 2))) -> Interval:
    """Make the interval of a cross-validated AUROC.

    Args:
        value: The AUROC.
        error: Its standard error (`standard_error`).
        n: Problems with an example, or those without one, whichever are fewer.
        quantile: How many standard errors the ends are away.

    Returns:
        The AUROC, with ends between 0 and 1; NaN ends with fewer than `FEWEST_PROBLEMS`. If all pairs are ranked alike
        nothing varies, and the ends are those of a rate of which n problems show no case (rule of three).
    """
    if n < FEWEST_PROBLEMS or not np.isfinite(value):
        return Interval(value, n=n)
    if value in (0.0, 1.0) or not error:
        margin = min(3 / n, 1.0)
        return Interval(value, max(value - margin, 0.0), min(value + margin, 1.0), n)
    place = norm.ppf(value)
    half_width = quantile * error / norm.pdf(place)
    return Interval(value, float(norm.cdf(place - half_width)), float(norm.cdf(place + half_width)), n)


def expected_difference(value: float, error: float, n: int) -> Interval:
    """Make the interval of a difference of two cross-validated AUROCs on the same problems.

    Args:
        value: The difference.
        error: Its standard error: draws and changes are those of the difference.
        n: Problems with an example, or those without one, whichever are fewer.

    Returns:
        The difference; NaN ends with fewer than `FEWEST_PROBLEMS`.
    """
    if n < FEWEST_PROBLEMS or not np.isfinite(value):
        return Interval(value, n=n)
    half_width = float(norm.ppf((1 + LEVEL) / 2)) * error
    return Interval(value, max(value - half_width, -1.0), min(value + half_width, 1.0), n)


def widened(
    value: float,
    draws: Float[np.ndarray, " n_resamples"],
    widening: float,
    n: int,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Interval:
    """Make the percentile interval of a figure of fitted probes, moved apart by what the training sets add.

    Args:
        value: The figure.
        draws: The figure in every resample of the problems.
        widening: Standard error of the AUROC of the same probes, in units of that of its draws alone; at least 1.
        n: Problems with an example, or those without one, whichever are fewer.
        bounds: The least and the greatest that the figure can be.

    Returns:
        The figure; NaN ends with fewer than `FEWEST_PROBLEMS`.
    """
    if n < FEWEST_PROBLEMS or not np.isfinite(value):
        return Interval(value, n=n)
    low, high = percentile_ends(draws)
    return Interval(
        value, max(value - widening * (value - low), bounds[0]), min(value + widening * (high - value), bounds[1]), n
    )
