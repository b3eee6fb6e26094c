"""The error of the when-share itself, as measured on pairs of known truth and shipped with the package.

`known_pairs.json` is what `calibrate` wrote about families of organisms, joined. A reading of any other pair is widened
by the largest error among them: that the next pair is no odder than these is assumed, and what organisms lack no
calibration on organisms shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ...rundir import brief, read_json
from .calibration import Calibration


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """How well the when-share read pairs of known truth.

    Attributes:
        n_pairs: Pairs that were read.
        mean_abs_error: Mean distance between reading and truth, as a share of the gap.
        largest_error: The largest of these distances.
        concordance: Share of the pairs of pairs, whose truths differ by more than 0.1, that were ordered rightly.
    """

    n_pairs: int
    mean_abs_error: float
    largest_error: float
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
        return cls(
            n_pairs=len(errors),
            mean_abs_error=calibration.mean_abs_error(),
            largest_error=max(errors),
            concordance=calibration.concordance()[0],
        )


@cache
def shipped_instrument() -> Instrument:
    """Read the errors that are shipped with the package."""
    path = Path(__file__).parent / "known_pairs.json"
    return Instrument.of(Calibration.from_dict(read_json(path, "what calibrations measured")))
