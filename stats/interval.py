"""Hold a number with the interval that it lies in and the number of independent cases behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isnan, nan

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with the ends of its interval (95% unless the maker says otherwise).

    What the interval is conditional on is in the name of the function that made it. Unknown ends are NaN.

    Attributes:
        value: The estimate, in the units of what was measured.
        low: The lower end.
        high: The upper end.
        n: Independent cases behind it: groups that were resampled, or trials.
    """

    value: float
    low: float = nan
    high: float = nan
    n: int = 0

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"

    def columns(self, name: str) -> dict[str, float]:
        """Name the value and its ends as columns of a table; NaN stays NaN.

        Args:
            name: Of the figure.

        Returns:
            `name`, `name_low` and `name_high`.
        """
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}

    def json_columns(self, name: str) -> dict[str, float | None]:
        """Name the value and its ends as `columns` does, for JSON.

        Args:
            name: Of the figure.

        Returns:
            `name`, `name_low` and `name_high`, with None for NaN, which JSON lacks.
        """
        return {key: without_nan(value) for key, value in self.columns(name).items()}

    @classmethod
    def from_columns(cls, row: Mapping[str, float | None], name: str, n: int = 0) -> Interval:
        """Read what `columns` or `json_columns` named.

        Args:
            row: The columns, among others.
            name: Of the figure.
            n: Independent cases behind it, which the columns do not hold.

        Returns:
            The interval; NaN for None.
        """
        entries = (row[name], row[f"{name}_low"], row[f"{name}_high"])
        value, low, high = (nan if entry is None else entry for entry in entries)
        return cls(value, low, high, n)

    def to_dict(self) -> dict[str, float | None]:
        """Return value, low, high and n as plain values, with None for NaN."""
        return {key: without_nan(value) for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, row: Mapping[str, float | None]) -> Interval:
        """Read what `to_dict` returned.

        Args:
            row: Value, low, high and n.

        Returns:
            The interval; NaN for None.

        Raises:
            ValueError: The keys are not value, low, high and n, or a value is no number.
        """
        if set(row) != {"value", "low", "high", "n"}:
            raise ValueError(f"an interval has value, low, high and n, and this one has {', '.join(map(str, row))}")
        numbers = {key: nan if entry is None else entry for key, entry in row.items()}
        for key, number in numbers.items():
            if isinstance(number, bool) or not isinstance(number, (int, float)):
                raise ValueError(f"{key} of an interval must be a number or null, and {number!r} is not")
        n = numbers.pop("n")
        if n != int(n if n == n else -1) or n < 0:
            raise ValueError(f"n of an interval must be a whole number from 0, and {n} is not")
        return cls(**numbers, n=int(n))


def mean_and_range(values: Float[np.ndarray, " n_draws"]) -> Interval:
    """Summarise the draws of a control by their mean, their least and their greatest; no interval, but its whole range.

    Args:
        values: One figure for each draw of the control.

    Returns:
        The mean, with the least and the greatest draw in the place of the ends.
    """
    return Interval(float(np.mean(values)), float(np.min(values)), float(np.max(values)), len(values))


def without_nan(value: float) -> float | None:
    """Return None in the place of NaN, which JSON lacks.

    Args:
        value: A figure.

    Returns:
        The figure, or None.
    """
    return None if isnan(value) else value
