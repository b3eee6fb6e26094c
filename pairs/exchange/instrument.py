"""The error of the when-share itself, as measured on pairs of known truth and shipped with the package.

`known_pairs.json` is what `calibrate` wrote about families of organisms, joined. A share is a quotient by the gap, so
an error of it, times the gap, is an error of accuracy, and that is what pairs of small and large gaps have in common.
With e = (reading - truth) gap of each pair, a reading of another pair is widened by

    1.96 sqrt(sum(e^2) / chi2(0.05; m)) / gap          the bound of 95% of pairs, with 95% confidence

which is the two-sided normal tolerance interval about zero (Krishnamoorthy & Mathew 2009, chapter 2). Pairs of one base
err alike, so m is the number of bases, and sum(e^2) that of the mean squares of each base. That the next pair is no
odder than these is assumed, and what organisms lack no calibration on organisms shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from scipy.stats import chi2, norm

from ...rundir import brief, read_json
from ...stats import LEVEL
from .calibration import WHEN_SHARE, Calibration


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """How well the when-share read pairs of known truth.

    Attributes:
        n_pairs: Pairs that were read.
        mean_abs_error: Mean distance between reading and truth, as a share of the gap.
        largest_error: The largest of these distances.
        tolerance_accuracy: What the error, times the gap, does not exceed in 95% of pairs, with 95% confidence.
        concordance: Share of the pairs of pairs, whose truths differ by more than 0.1, that were ordered rightly.
    """

    n_pairs: int
    mean_abs_error: float
    largest_error: float
    tolerance_accuracy: float
    concordance: float

    __repr__ = brief

    @classmethod
    def of(cls, calibration: Calibration) -> Instrument:
        """Take what a calibration measured.

        Args:
            calibration: Pairs with truth and reading.

        Returns:
            The errors.
        """
        errors = calibration.errors()
        squares: dict[str, list[float]] = {}
        for pair in calibration.pairs.values():
            error = (pair.readings[WHEN_SHARE].value - pair.truth.value) * pair.gap.value
            if error == error:
                squares.setdefault(pair.base, []).append(error**2)
        of_bases = [float(np.mean(some)) for some in squares.values()]
        variance = sum(of_bases) / chi2.ppf(1 - LEVEL, len(of_bases))
        return cls(
            n_pairs=len(errors),
            mean_abs_error=calibration.mean_abs_error(),
            largest_error=max(errors),
            tolerance_accuracy=float(norm.ppf((1 + LEVEL) / 2) * np.sqrt(variance)),
            concordance=calibration.concordance()[0],
        )

    def error_at(self, gap: float) -> float:
        """Give the error that a when-share of another pair may have.

        Args:
            gap: Of the pair, in accuracy; above 0.

        Returns:
            A share of the gap.
        """
        return self.tolerance_accuracy / gap


@cache
def shipped_instrument() -> Instrument:
    """Read the errors that are shipped with the package."""
    path = Path(__file__).parent / "known_pairs.json"
    return Instrument.of(Calibration.from_dict(read_json(path, "what calibrations measured")))
