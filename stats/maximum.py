"""Correct for having looked at many layers: bands and p-values that hold for all of them at once, by the maximum.

    band       value_L  -/+  c s_L,     c: 95% quantile over resamples of the largest |draw_L - value_L| / s_L of all L
    p-value    p_L = (1 + permutations whose highest figure of all L reaches that of L) / (1 + permutations)

s_L is the standard deviation of the draws at L. The dependence between layers is that of the draws, so nothing is lost
where layers are alike, as it is with Bonferroni. (Bands: max-t, Montiel Olea & Plagborg-Moller 2019; p-values: Westfall
& Young 1993.)
"""

from __future__ import annotations

from math import inf

import numpy as np
from jaxtyping import Float

from .interval import Interval
from .resampling import LEVEL

TOLERANCE = 1e-12  # figures closer than this are ties


def simultaneous_band(
    values: Float[np.ndarray, " n_layers"],
    draws: Float[np.ndarray, "n_layers n_resamples"],
    n: int,
    *,
    level: float = LEVEL,
    bounds: tuple[float, float] = (-inf, inf),
) -> list[Interval]:
    """Make the band that covers the figures of all layers at once.

    Args:
        values: The figure at each layer.
        draws: The figure at each layer in each resample; the resamples are the same at all layers.
        n: Groups that were resampled.
        level: Share of experiments in which the band is to hold all figures.
        bounds: The least and the greatest that the figure can be; ends are cut there.

    Returns:
        One interval a layer; its ends are NaN where nothing varies over the draws.
    """
    quantile, spread = _quantile_and_spread(values, draws, level)
    varies = spread > 0
    if not varies.any():
        return [Interval(float(value), n=n) for value in values]
    half_width = quantile * spread
    low, high = np.maximum(values - half_width, bounds[0]), np.minimum(values + half_width, bounds[1])
    return [
        Interval(float(value), float(low[layer]), float(high[layer]), n)
        if varies[layer]
        else Interval(float(value), n=n)
        for layer, value in enumerate(values)
    ]


def maximum_quantile(
    values: Float[np.ndarray, " n_layers"], draws: Float[np.ndarray, "n_layers n_resamples"], level: float = LEVEL
) -> float:
    """Compute how many standard errors a band is away from its figures, to cover those of all layers at once.

    Args:
        values: The figure at each layer.
        draws: The figure at each layer in each resample; the resamples are the same at all layers.
        level: Share of experiments in which the band is to hold all figures.

    Returns:
        The quantile of the largest distance of a draw, in standard deviations; NaN where nothing varies.
    """
    return _quantile_and_spread(values, draws, level)[0]


def _quantile_and_spread(
    values: Float[np.ndarray, " n_layers"], draws: Float[np.ndarray, "n_layers n_resamples"], level: float
) -> tuple[float, Float[np.ndarray, " n_layers"]]:
    finite = draws[:, np.isfinite(draws).all(axis=0)]
    spread = finite.std(axis=1, ddof=1) if finite.shape[1] > 1 else np.zeros(len(values))
    varies = spread > 0
    if not varies.any():
        return float("nan"), spread
    distance = np.abs(finite[varies] - values[varies, None]) / spread[varies, None]
    return float(np.quantile(distance.max(axis=0), level)), spread


def corrected_p_values(
    observed: Float[np.ndarray, " n_layers"], permuted: Float[np.ndarray, "n_layers n_permutations"]
) -> Float[np.ndarray, " n_layers"]:
    """Compute one-sided p-values that are corrected over layers; a NaN figure counts as no evidence.

    Args:
        observed: The figure at each layer; large is evidence.
        permuted: The figure at each layer under each permutation; the permutations are the same at all layers.

    Returns:
        One p-value a layer, at least 1 / (1 + permutations).
    """
    highest = np.nan_to_num(permuted, nan=-inf).max(axis=0)
    reached = (highest[None, :] >= np.nan_to_num(observed, nan=-inf)[:, None] - TOLERANCE).sum(axis=1)
    p_values: Float[np.ndarray, " n_layers"] = (1 + reached) / (1 + permuted.shape[1])
    return p_values
