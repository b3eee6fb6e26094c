"""How far two graders agree about the same responses.

    kappa = (observed - expected) / (1 - expected)        (Cohen 1960)

observed: the share on which both say the same; expected: what that share would be if each said right as often as it
does, but at random. 1: always the same, 0: no more than chance. Graders that both always say the same have no kappa.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isnan
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.stats import binomtest

from ..rundir import InputError

N_RESAMPLES = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Of one grader with another; intervals are 95%."""

    n: int  # responses that both graded
    n_ungraded: int  # that one of them would not say
    share: float  # on which both say the same
    share_low: float
    share_high: float
    kappa: float
    kappa_low: float
    kappa_high: float
    n_only_first: int  # right by the first alone
    n_only_second: int

    def to_json(self) -> dict[str, Any]:
        """With None for what is not known."""
        return {
            name: None if isinstance(value, float) and isnan(value) else value for name, value in asdict(self).items()
        }

    def __str__(self) -> str:
        return (
            f"the same on {self.share:.1%} [{self.share_low:.1%}, {self.share_high:.1%}], kappa {self.kappa:.2f} "
            f"[{self.kappa_low:.2f}, {self.kappa_high:.2f}] (n = {self.n}, {self.n_ungraded} not graded)"
        )


def agreement(first: Sequence[bool | None], second: Sequence[bool | None]) -> Agreement:
    """Between two graders of the same responses, None where one would not say.

    Raises InputError for lists of different lengths, and where no response was graded by both.
    """
    if len(first) != len(second):
        raise InputError(f"graders are compared on the same responses, and graded {len(first)} and {len(second)}")
    both = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    if not both:
        raise InputError(f"none of {len(first)} responses was graded by both: there is nothing to compare")
    n = len(both)
    cells = np.array([sum((a, b) == cell for a, b in both) for cell in _CELLS], dtype=np.float64)
    n_same = int(cells[0] + cells[3])
    share = binomtest(n_same, n).proportion_ci(method="wilson")
    drawn = _kappa(np.random.default_rng(0).multinomial(n, cells / n, size=N_RESAMPLES).astype(np.float64))
    drawn = drawn[np.isfinite(drawn)]
    low, high = np.quantile(drawn, [0.025, 0.975]) if len(drawn) else (np.nan, np.nan)
    return Agreement(
        n=n,
        n_ungraded=len(first) - n,
        share=n_same / n,
        share_low=float(share.low),
        share_high=float(share.high),
        kappa=float(_kappa(cells[None])[0]),
        kappa_low=float(low),
        kappa_high=float(high),
        n_only_first=int(cells[1]),
        n_only_second=int(cells[2]),
    )


_CELLS = ((True, True), (True, False), (False, True), (False, False))


def _kappa(cells: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, " n"]:
    yes, only_first, only_second, no = cells.T / cells.sum(axis=1)
    expected = (yes + only_first) * (yes + only_second) + (only_second + no) * (only_first + no)
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Float[np.ndarray, " n"] = np.where(expected < 1, (yes + no - expected) / (1 - expected), np.nan)
    return found
