"""Estimate a proportion of independent trials with Wilson's score interval, which holds at 0 and 1 too.

(p + z^2/2n -/+ z sqrt(p (1 - p) / n + z^2/4n^2)) / (1 + z^2/n)        (Wilson 1927; z: the normal's 97.5% quantile)
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import binomtest

from .interval import Interval


def wilson_proportion(hits: Bool[np.ndarray, " n"] | Float[np.ndarray, " n"]) -> Interval:
    """Estimate the share of hits among independent trials, with its Wilson interval.

    Args:
        hits: 1 or True for each trial that hit, 0 or False for each that did not.

    Returns:
        The share; n counts the trials.

    Raises:
        ValueError: There is no trial.
    """
    if not len(hits):
        raise ValueError("a proportion needs at least one trial, and there is none")
    low, high = wilson_ends(float(np.sum(hits)), len(hits))
    return Interval(float(np.mean(hits)), low, high, len(hits))


def wilson_ends(n_hits: float, n: int) -> tuple[float, float]:
    """Return the ends of the Wilson interval of so many hits (rounded) in n trials."""
    ends = binomtest(round(n_hits), n).proportion_ci(method="wilson")
    return float(ends.low), float(ends.high)
