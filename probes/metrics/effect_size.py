"""Measure how far a behaviour lies from the rest along their mean difference, on problems the direction never saw.

    d = (mean_positive - mean_negative) / s        (Cohen's d; s: pooled within-class standard deviation)

of the projections z = (x - midpoint) . u, with u the unit mean difference and the midpoint that of the class means of
the training folds. On the spans that the direction was computed from, d would be large even for noise in many
dimensions; out of fold it is centred on zero for noise.
"""

from __future__ import annotations

from math import inf

import numpy as np
from jaxtyping import Bool, Float, Int

from ...stats import Interval
from ._concordance import Matrix
from .expected import widened


def held_out_projections(
    activations: Float[np.ndarray, "n_examples d_model"],
    positive: Bool[np.ndarray, " n_examples"],
    folds: Int[np.ndarray, " n_examples"],
) -> Float[np.ndarray, " n_examples"]:
    """Project each example on the unit mean difference of the other folds, from the midpoint of their class means.

    Args:
        activations: One row for each example.
        positive: Whether the example shows the behaviour.
        folds: The fold of each example.

    Returns:
        The projections, in the units of `activations`, positive towards the behaviour.
    """
    projections = np.empty(len(activations))
    for fold in np.unique(folds):
        train, test = folds != fold, folds == fold
        positive_mean = activations[train & positive].mean(axis=0)
        negative_mean = activations[train & ~positive].mean(axis=0)
        difference = positive_mean - negative_mean
        midpoint = (positive_mean + negative_mean) / 2
        projections[test] = (activations[test] - midpoint) @ (difference / np.linalg.norm(difference))
    return projections


def cohens_d(
    projections: Float[np.ndarray, " n_examples"],
    positive: Bool[np.ndarray, " n_examples"],
    problems: Int[np.ndarray, " n_examples"],
    counts: Matrix,
    widening: float = 1.0,
) -> Interval:
    """Compute Cohen's d of projections, with an interval over problems.

    Args:
        projections: Out-of-fold projections (`held_out_projections`).
        positive: Whether the example shows the behaviour.
        problems: The problem of each example, as a number.
        counts: How often each problem is in each resample (`stats.bootstrap_counts`).
        widening: What the training sets add to the interval (`CrossValidated.widening`).

    Returns:
        d, positive where the behaviour's projections are larger; NaN where all projections of a class are equal, which
        leaves nothing to measure by. n counts the problems with an example, or those without one, whichever are fewer.
    """
    n_problems = counts.shape[1]

    def moments(chosen: Bool[np.ndarray, " n_examples"]) -> Matrix:
        values = projections[chosen]
        terms = np.stack([np.ones_like(values), values, values**2])
        return np.stack([np.bincount(problems[chosen], term, n_problems) for term in terms])  # (3, n_problems)

    positive_sums, negative_sums = moments(positive), moments(~positive)
    resampled = _d(positive_sums @ counts.T, negative_sums @ counts.T)
    value = float(_d(positive_sums.sum(axis=1), negative_sums.sum(axis=1)))
    n = min(len(np.unique(problems[members])) for members in (positive, ~positive))
    return widened(value, resampled, widening, n, bounds=(-inf, inf))


def _d(positive_sums: Matrix, negative_sums: Matrix) -> Matrix:
    """Compute d from counts, sums and sums of squares."""
    n_positive, positive_sum, positive_squares = positive_sums
    n_negative, negative_sum, negative_squares = negative_sums
    with np.errstate(divide="ignore", invalid="ignore"):
        positive_mean, negative_mean = positive_sum / n_positive, negative_sum / n_negative
        scatter = (positive_squares - n_positive * positive_mean**2) + (
            negative_squares - n_negative * negative_mean**2
        )
        d = np.asarray((positive_mean - negative_mean) / np.sqrt(scatter / (n_positive + n_negative - 2)))
    return np.where(np.isfinite(d), d, np.nan)
