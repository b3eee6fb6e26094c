"""A band that covers the AUROC at all layers at once with 95%, not at each layer by itself.

    estimate_L  -/+  c s_L,      c: 95% quantile over resamples of the largest |draw_L - estimate_L| / s_L of all layers

(max-t; s_L the standard deviation of the draws at layer L. Montiel Olea & Plagborg-Moller 2019.)
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from ._concordance import Estimate


def simultaneous_band(
    values: Float[np.ndarray, " n_layers"], draws: Float[np.ndarray, "n_layers n_bootstrap"], level: float = 0.95
) -> list[Estimate]:
    """One estimate a layer; NaN bounds where nothing varies over the draws. draws: the same resamples at all layers."""
    whole = draws[:, np.isfinite(draws).all(axis=0)]
    if whole.shape[1] < 2:
        return [Estimate(float(value)) for value in values]
    spread = whole.std(axis=1, ddof=1)
    varies = spread > 0
    if not varies.any():
        return [Estimate(float(value)) for value in values]
    away = np.abs(whole[varies] - values[varies, None]) / spread[varies, None]
    half = np.quantile(away.max(axis=0), level) * spread
    return [
        Estimate(float(value), max(0.0, float(value - h)), min(1.0, float(value + h))) if v else Estimate(float(value))
        for value, h, v in zip(values, half, varies, strict=True)
    ]
