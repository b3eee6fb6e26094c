"""A number with its interval: every figure of an organism is one of these."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import binomtest

N_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Figure:
    """A value, its 95% interval, and the number of problems behind it."""

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
    low, high = _wilson(float(hits.sum()), len(hits))
    return Figure(float(hits.mean()), low, high, len(hits))


def mean(values: Float[np.ndarray, " problems"]) -> Figure:
    """A mean with its interval over resampled problems."""
    return ratio(values, np.ones(len(values)))


def ratio(above: Float[np.ndarray, " problems"], below: Float[np.ndarray, " problems"]) -> Figure:
    """Sum over sum, with an interval over resampled problems (numerator and denominator of one problem together).

    Where every problem has the same share of 0 or 1, no resample differs; there the Wilson interval of as many problems
    is given, since a problem's parts are not independent. Resamples with nothing below are left out.
    """
    n, value = len(above), float(np.sum(above) / np.sum(below))
    if np.array_equal(above, below) or not np.any(above):
        low, high = _wilson(value * n, n)
        return Figure(value, low, high, n)
    drawn = np.random.default_rng(0).integers(n, size=(N_RESAMPLES, n))
    over, under = above[drawn].sum(1), below[drawn].sum(1)
    low, high = np.quantile(over[under != 0] / under[under != 0], [0.025, 0.975])
    return Figure(value, float(low), float(high), n)


def _wilson(hits: float, n: int) -> tuple[float, float]:
    found = binomtest(round(hits), n).proportion_ci(method="wilson")
    return float(found.low), float(found.high)
