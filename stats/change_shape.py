"""Test whether a curve along training changes at all, and whether it jumps or rises steadily.

    change    the squares that the best split explains, among those of curves whose steps are permuted within each group
    shape     D = squares explained by the best split - squares explained by a straight line
              a line is refuted where D is above what it is about the fitted line, two levels where D is below what it
              is about two fitted levels, in 97.5% of draws of what surrounds them

Where no step differs from another, those of a group can be exchanged, and the first test is exact. Of shapes four
things can be said: `jump` (a line is refuted, levels are not), `steady` (the reverse), `bent` (both are) and
`undecided` (neither is). The draws are resampled groups, or for a single series its own distances from the fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float

from .change_point import checked_steps, curve_draws, split_variances, two_levels
from .permutation import p_value_of_draws
from .resampling import LEVEL, Groups, Seed, sum_by_group

N_PERMUTATIONS = 999

Shape = Literal["jump", "steady", "bent", "undecided"]
Curve = Float[np.ndarray, " n_steps"]
Curves = Float[np.ndarray, "n_curves n_steps"]


def change_test_over_groups(
    values: Float[np.ndarray, "n n_steps"],
    groups: Groups | None = None,
    seed: Seed = 0,
    n_permutations: int = N_PERMUTATIONS,
    weights: Float[np.ndarray, "n n_steps"] | None = None,
) -> float:
    """Test whether the mean of curves is level, by permuting the steps within each group.

    Args:
        values: One curve for each observation.
        groups: The group of each observation; None: each is one of its own.
        seed: Of the permutations.
        n_permutations: Permutations to draw.
        weights: What stands below the line, for a curve of ratios of sums; None: 1.

    Returns:
        The p-value of no change; 1 where the curve is unknown at a step.
    """
    n_steps = values.shape[1]
    below = np.ones_like(values, dtype=np.float64) if weights is None else weights
    sums = sum_by_group(np.column_stack([values, below]), groups)
    pairs = np.stack([sums[:, :n_steps], sums[:, n_steps:]], axis=-1)  # (groups, steps, above and below)
    generator = np.random.default_rng(seed)
    curves = np.empty((1 + n_permutations, n_steps))
    curves[0] = _ratio(pairs.sum(axis=0))
    for row in range(1, 1 + n_permutations):
        order = generator.random(pairs.shape[:2]).argsort(axis=1)
        curves[row] = _ratio(np.take_along_axis(pairs, order[..., None], axis=1).sum(axis=0))
    if not np.isfinite(curves[0]).all():
        return 1.0
    explained = split_variances(curves[np.isfinite(curves).all(axis=1)]).max(axis=1)
    return p_value_of_draws(float(explained[0]), explained[1:])


def change_test_of_series(series: Curve, seed: Seed = 0, n_permutations: int = N_PERMUTATIONS) -> float:
    """Test whether a series is level, by permuting it; what fluctuates from step to step counts as noise.

    Args:
        series: The curve.
        seed: Of the permutations.
        n_permutations: Permutations to draw.

    Returns:
        The p-value of no change.
    """
    orders = np.random.default_rng(seed).permuted(np.tile(series, (n_permutations, 1)), axis=1)
    explained = split_variances(np.concatenate([series[None], orders])).max(axis=1)
    return p_value_of_draws(float(explained[0]), explained[1:])


def change_shape_over_groups(
    values: Float[np.ndarray, "n n_steps"],
    steps: Sequence[float],
    groups: Groups | None = None,
    seed: Seed = 0,
    n_resamples: int = N_PERMUTATIONS,
    weights: Float[np.ndarray, "n n_steps"] | None = None,
) -> Shape:
    """Tell a jump from a steady rise, with resampled groups for the noise.

    Args:
        values: One curve for each observation.
        steps: Where the curves are known, ascending.
        groups: The group of each observation; None: each is one of its own.
        seed: Of the resamples.
        n_resamples: Resamples to draw.
        weights: What stands below the line, for a curve of ratios of sums; None: 1.

    Returns:
        The shape; it means something only where there is a change.

    Raises:
        ValueError: There are fewer than three steps, they do not ascend, or there are fewer than two groups.
    """
    places = checked_steps(values, steps)
    curves, _ = curve_draws(values, groups, seed, n_resamples, weights)
    if not np.isfinite(curves[0]).all():
        return "undecided"
    noise = (curves[1:] - curves[0])[np.isfinite(curves[1:]).all(axis=1)]
    return _shape(curves[0], places, noise, noise)


def change_shape_of_series(
    series: Curve, steps: Sequence[float], seed: Seed = 0, n_draws: int = N_PERMUTATIONS
) -> Shape:
    """Tell a jump from a steady rise in one series, with its distances from each fit for the noise.

    Args:
        series: The curve.
        steps: Where it is known, ascending.
        seed: Of the draws.
        n_draws: Draws.

    Returns:
        The shape; it means something only where there is a change.

    Raises:
        ValueError: There are fewer than three steps, or they do not ascend.
    """
    places = checked_steps(series[None], steps)
    generator = np.random.default_rng(seed)
    size = (n_draws, len(series))
    about_line = generator.choice(series - line(series, places), size=size)
    about_levels = generator.choice(series - two_levels(series[None])[0], size=size)
    return _shape(series, places, about_line, about_levels)


def line(curve: Curve, places: Curve) -> Curve:
    """Fit a straight line by least squares.

    Args:
        curve: The values.
        places: Where they stand.

    Returns:
        The line at the same places.
    """
    centred = places - places.mean()
    slope = float(centred @ curve) / float(centred @ centred)
    fitted: Curve = curve.mean() + slope * centred
    return fitted


def _shape(curve: Curve, places: Curve, about_line: Curves, about_levels: Curves) -> Shape:
    observed = float(_difference(curve[None], places)[0])
    outside = (1 - LEVEL) / 2
    of_line = _difference(line(curve, places) + about_line, places)
    of_levels = _difference(two_levels(curve[None]) + about_levels, places)
    refutes_line = p_value_of_draws(observed, of_line) <= outside
    refutes_levels = p_value_of_draws(-observed, -of_levels) <= outside
    if refutes_line and refutes_levels:
        return "bent"
    return "jump" if refutes_line else "steady" if refutes_levels else "undecided"


def _difference(curves: Curves, places: Curve) -> Float[np.ndarray, " n_curves"]:
    """Subtract what a straight line explains of each curve from what its best split does."""
    centred = places - places.mean()
    by_line = (curves @ centred) ** 2 / float(centred @ centred)
    difference: Float[np.ndarray, " n_curves"] = split_variances(curves).max(axis=1) - by_line
    return difference


def _ratio(pairs: Float[np.ndarray, "n_steps 2"]) -> Curve:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Curve = pairs[:, 0] / pairs[:, 1]
    return ratio
