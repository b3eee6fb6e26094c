"""Find where a curve along training jumps from one level to another.

Of all places between two neighbouring steps, the one at which two constants fit the mean curve best (least squares;
Hinkley 1970). A curve that does not jump has such a place as well, with an interval about as wide as the curve, and a
steady slope has one in its middle: `change_shape.py` tests whether there is a change, and whether it is a jump.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from .interval import Interval
from .resampling import N_RESAMPLES, Groups, Seed, bootstrap_counts, percentile_ends, sum_by_group

LEAST_STEPS = 3


def change_point_over_groups(
    values: Float[np.ndarray, "n n_steps"],
    steps: Sequence[float],
    groups: Groups | None = None,
    seed: Seed = 0,
    n_resamples: int = N_RESAMPLES,
    weights: Float[np.ndarray, "n n_steps"] | None = None,
) -> Interval:
    """Estimate where the mean of curves jumps, with an interval over groups.

    Args:
        values: One curve for each observation.
        steps: Where the curves are known, ascending.
        groups: The group of each observation; None: each is one of its own.
        seed: Of the resamples.
        n_resamples: Resamples to draw.
        weights: What stands below the line, for a curve of ratios of sums: values above, weights below; None: 1.

    Returns:
        The step of the jump: the middle between the last step before it and the first after it. Unknown (NaN) where
        nothing stands below the line at a step.

    Raises:
        ValueError: There are fewer than three steps, they do not ascend, or there are fewer than two groups.
    """
    places = checked_steps(values, steps)
    curves, n = curve_draws(values, groups, seed, n_resamples, weights)
    if not np.isfinite(curves[0]).all():
        return Interval(float("nan"), n=n)
    jumps = jump_places(curves[np.isfinite(curves).all(axis=1)], places)
    return Interval(float(jumps[0]), *percentile_ends(jumps[1:]), n)


def change_point_of_series(
    series: Float[np.ndarray, " n_steps"], steps: Sequence[float], seed: Seed = 0, n_resamples: int = N_RESAMPLES
) -> Interval:
    """Estimate where one series jumps of which nothing else is known, with an interval over what surrounds its levels.

    The distances from the two levels are drawn anew with replacement, wherever they stood.

    Args:
        series: The curve.
        steps: Where it is known, ascending.
        seed: Of the draws.
        n_resamples: Draws.

    Returns:
        The step of the jump, as of `change_point_over_groups`; n counts the steps.

    Raises:
        ValueError: There are fewer than three steps, or they do not ascend.
    """
    places = checked_steps(series[None], steps)
    fitted = two_levels(series[None])[0]
    noise = np.random.default_rng(seed).choice(series - fitted, size=(n_resamples, len(series)))
    jumps = jump_places(np.concatenate([series[None], fitted + noise]), places)
    return Interval(float(jumps[0]), *percentile_ends(jumps[1:]), len(series))


def curve_draws(
    values: Float[np.ndarray, "n n_steps"],
    groups: Groups | None,
    seed: Seed,
    n_resamples: int,
    weights: Float[np.ndarray, "n n_steps"] | None = None,
) -> tuple[Float[np.ndarray, "n_draws n_steps"], int]:
    """Compute the mean curve, and below it those of resampled groups.

    Args:
        values: One curve for each observation.
        groups: The group of each observation; None: each is one of its own.
        seed: Of the resamples.
        n_resamples: Resamples to draw.
        weights: What stands below the line; None: 1.

    Returns:
        The curves, NaN where nothing stands below the line, and the number of groups.
    """
    n_steps = values.shape[1]
    below = np.ones_like(values, dtype=np.float64) if weights is None else weights
    sums = sum_by_group(np.column_stack([values, below]), groups)
    counts = np.concatenate([np.ones((1, len(sums))), bootstrap_counts(len(sums), n_resamples, seed)])
    totals = counts @ sums
    with np.errstate(divide="ignore", invalid="ignore"):
        curves: Float[np.ndarray, "n_draws n_steps"] = totals[:, :n_steps] / totals[:, n_steps:]
    return curves, len(sums)


def checked_steps(values: Float[np.ndarray, "n n_steps"], steps: Sequence[float]) -> Float[np.ndarray, " n_steps"]:
    """Check that there are three ascending steps or more, one a column; raises ValueError."""
    places = np.asarray(steps, dtype=np.float64)
    if len(places) < LEAST_STEPS or (np.diff(places) <= 0).any() or values.shape[1] != len(places):
        raise ValueError(f"a jump is sought among three ascending steps or more, one a column, not {list(steps)}")
    return places


def jump_places(
    curves: Float[np.ndarray, "n_curves n_steps"], places: Float[np.ndarray, " n_steps"]
) -> Float[np.ndarray, " n_curves"]:
    """Find the middle of the two steps between which each curve jumps."""
    middles = (places[:-1] + places[1:]) / 2
    jumps: Float[np.ndarray, " n_curves"] = middles[best_splits(curves)]
    return jumps


def best_splits(curves: Float[np.ndarray, "n_curves n_steps"]) -> Int[np.ndarray, " n_curves"]:
    """Number the step after which each curve jumps: the split of most variance between its two parts."""
    return np.asarray(split_variances(curves).argmax(axis=1))


def split_variances(curves: Float[np.ndarray, "n_curves n_steps"]) -> Float[np.ndarray, "n_curves n_splits"]:
    """Compute how much of a curve's squares about its mean each split explains."""
    n_steps = curves.shape[1]
    n_before = np.arange(1, n_steps)
    centred = curves - curves.mean(axis=1, keepdims=True)
    before = centred.cumsum(axis=1)[:, :-1]  # what stands behind sums to the same with the other sign
    explained: Float[np.ndarray, "n_curves n_splits"] = before**2 / n_before + before**2 / (n_steps - n_before)
    return explained


def two_levels(curves: Float[np.ndarray, "n_curves n_steps"]) -> Float[np.ndarray, "n_curves n_steps"]:
    """Fit two constants to each curve, one before its jump and one behind."""
    fitted = np.empty_like(curves)
    for row, (curve, split) in enumerate(zip(curves, best_splits(curves), strict=True)):
        fitted[row, : split + 1], fitted[row, split + 1 :] = curve[: split + 1].mean(), curve[split + 1 :].mean()
    return fitted
