"""How far apart a behaviour and the rest lie along their mean difference, on problems the direction never saw.

    d = (mean_positive - mean_negative) / s        (Cohen's d; s: pooled within-class standard deviation)

of the projections z = (x - midpoint) . u, where u is the unit mean difference and the midpoint that of the class means
of the training folds. Measured on the same spans the direction came from, d would be large for pure noise in many
dimensions; out of fold it is centred on zero there.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from ...stats import Interval, percentile_ends
from ._concordance import Matrix


def held_out_projections(
    acts: Float[np.ndarray, "n_examples d_model"],
    positive: Bool[np.ndarray, " n_examples"],
    folds: Int[np.ndarray, " n_examples"],
) -> Float[np.ndarray, " n_examples"]:
    """Each example's place along the unit mean difference of the other folds, from the midpoint of their means."""
    projections = np.empty(len(acts))
    for fold in np.unique(folds):
        train, test = folds != fold, folds == fold
        up, down = acts[train & positive].mean(axis=0), acts[train & ~positive].mean(axis=0)
        projections[test] = (acts[test] - (up + down) / 2) @ ((up - down) / np.linalg.norm(up - down))
    return projections


def cohens_d(
    projections: Float[np.ndarray, " n_examples"],
    positive: Bool[np.ndarray, " n_examples"],
    problems: Int[np.ndarray, " n_examples"],
    counts: Matrix,
) -> Interval:
    """Cohen's d of the projections, with a percentile interval over resampled problems (`counts`)."""
    n_problems = counts.shape[1]

    def moments(chosen: Bool[np.ndarray, " n_examples"]) -> Matrix:
        values = projections[chosen]
        terms = np.stack([np.ones_like(values), values, values**2])
        return np.stack([np.bincount(problems[chosen], term, n_problems) for term in terms])  # (3, problem)

    up, down = moments(positive), moments(~positive)
    drawn = _d(up @ counts.T, down @ counts.T)
    value = float(_d(up.sum(axis=1), down.sum(axis=1)))
    return Interval(value, *percentile_ends(drawn), len(np.unique(problems)))


def _d(up: Matrix, down: Matrix) -> Matrix:
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_up, mean_down = up[1] / up[0], down[1] / down[0]
        scatter = (up[2] - up[0] * mean_up**2) + (down[2] - down[0] * mean_down**2)
        return np.asarray((mean_up - mean_down) / np.sqrt(scatter / (up[0] + down[0] - 2)))
