"""A number with its interval: every figure of an organism is one of these."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import binomtest

N_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Figure:
    """A value, its 95% interval, and the number of problems (or what `of` says) behind it."""

    value: float
    low: float
    high: float
    n: int

    def to_json(self) -> dict[str, float | int]:
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def share(hits: Float[np.ndarray, " n"]) -> Figure:
    """A proportion with its Wilson interval, which holds at 0 and 1 too."""
    found = binomtest(int(hits.sum()), len(hits)).proportion_ci(method="wilson")
    return Figure(float(hits.mean()), float(found.low), float(found.high), len(hits))


def ratio(above: Float[np.ndarray, " problems"], below: Float[np.ndarray, " problems"]) -> Figure:
    """Sum over sum, with an interval over resampled problems (numerator and denominator of one problem together)."""
    drawn = _resamples(len(above))
    with np.errstate(divide="ignore", invalid="ignore"):
        sampled = above[drawn].sum(1) / below[drawn].sum(1)
        value = float(np.sum(above) / np.sum(below))
    low, high = np.nanquantile(sampled, [0.025, 0.975])
    return Figure(value, float(low), float(high), len(above))


def _resamples(n: int) -> np.ndarray:
    return np.random.default_rng(0).integers(n, size=(N_RESAMPLES, n))
