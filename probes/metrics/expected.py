"""Estimate what AUROC probes reach on average on fresh problems, from one cross-validation.

Resampling the problems with the fitted probes as they are counts the luck of the test problems alone, and is too
narrow: every pair of problems meets twice, once with each of them trained on. So the luck of the training problems is
added, from fits that leave one more fold out (those that choose the penalty):

    V   = V_test m / (m - 1) + sum_f (D_f - mean D)^2          m: problems that were resampled
    D_f = change of the AUROC on the other folds if fold f is left out of their choice and training too
    ends: of probit(AUROC) -/+ c sqrt(V) / phi(probit(AUROC))
    c:    quantile of Student's t with (V / V_training)^2 (folds - 1) degrees of freedom, V_training the sum over f; for
          a band over layers, wider by as much as the maximum over layers varies more than one layer

What is covered is the mean AUROC, over training sets of as many problems as each fold was trained on, of the whole
procedure with its choice of penalty (and layer); not that of the probe at hand. docs/statistics.md shows how often.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import norm, t

from ...stats import LEVEL, Interval, percentile_ends

FEWEST_PROBLEMS = 10  # with an example, and without one; with fewer no interval is given
ONE_LAYER = float(norm.ppf((1 + LEVEL) / 2))  # the quantile that bands over layers exceed
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


@dataclass(frozen=True, slots=True)
class Error:
    """The standard error of a cross-validated figure, and how well it is known."""

    size: float  # 0 where nothing varies
    freedom: float  # degrees of freedom (Satterthwaite): few where most of the variance is that of a few training sets

    @classmethod
    def of(
        cls, draws: Float[np.ndarray, " n_resamples"], changes: Float[np.ndarray, " n_folds"], n_problems: int
    ) -> Error:
        """Compute the standard error of a cross-validated figure.

        Args:
            draws: The figure in every resample of the problems, the fitted probes as they are.
            changes: Its changes if one more fold is left out of the training (`training_changes`).
            n_problems: Problems that were resampled.

        Returns:
            The standard error.
        """
        finite = draws[np.isfinite(draws)]
        of_tests = finite.var() * n_problems / (n_problems - 1) if len(finite) else 0.0
        of_training = float(np.square(changes - changes.mean()).sum())
        variance = of_tests + of_training
        freedom = (len(changes) - 1) * (variance / of_training) ** 2 if of_training else np.inf
        return cls(float(np.sqrt(variance)), freedom)

    def distance(self, level: float = LEVEL) -> float:
        """Compute how far the ends of an interval are away: a quantile of Student's t times the standard error.

        Args:
            level: Of the interval.

        Returns:
            The distance, in units of the figure.
        """
        return float(t.ppf((1 + level) / 2, self.freedom)) * self.size if self.size else 0.0


def expected_auroc(value: float, distance: float, n: int) -> Interval:
    """Make the interval of a cross-validated AUROC.

    Args:
        value: The AUROC.
        distance: How far the ends are away (`Error.distance`).
        n: Problems with an example, or those without one, whichever are fewer.

    Returns:
        The AUROC, with ends between 0 and 1; NaN ends with fewer than `FEWEST_PROBLEMS`. If all pairs are ranked alike
        nothing varies, and the ends are those of a rate of which n problems show no case (rule of three).
    """
    if n < FEWEST_PROBLEMS or not np.isfinite(value):
        return Interval(value, n=n)
    if value in (0.0, 1.0) or not distance:
        margin = min(3 / n, 1.0)
        return Interval(value, max(value - margin, 0.0), min(value + margin, 1.0), n)
    place = norm.ppf(value)
    half_width = distance / norm.pdf(place)
    return Interval(value, float(norm.cdf(place - half_width)), float(norm.cdf(place + half_width)), n)


def expected_difference(value: float, distance: float, n: int) -> Interval:
    """Make the interval of a difference of two cross-validated AUROCs on the same problems.

    Args:
        value: The difference.
        distance: How far the ends are away: draws and changes of its `Error` are those of the difference.
        n: Problems with an example, or those without one, whichever are fewer.

    Returns:
        The difference; NaN ends with fewer than `FEWEST_PROBLEMS`.
    """
    if n < FEWEST_PROBLEMS or not np.isfinite(value):
        return Interval(value, n=n)
    return Interval(value, max(value - distance, -1.0), min(value + distance, 1.0), n)


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
