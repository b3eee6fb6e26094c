"""Hold what is followed along a training: one value with an interval at each step, and what stands beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from ...rundir import brief
from ...stats import Interval, ratio_difference_over_groups, ratio_over_groups

# Names of what is followed, as tables and panels show them.
ACCURACY, FORM, BEYOND, GAIN = "accuracy", "in form", "right given form", "gain over the base"
PASS_ONE, PASS_MANY = "pass@1", "pass@{k}"
ATTEMPTS = "pass@k"
RATE = "times a response"
NORM, ANGLE, ANGLE_LAST = "length of the direction", "angle to the base's", "angle to the last step's"
TRANSFER = "AUROC of the base's probe"
TRAINED = "problems trained on"
WHEN = "when-share against the base"
TOKENS = "tokens a response"
CUT, SETTLED = "cut off", "accuracy, those cut off left out"

Line = tuple[Interval, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One thing that is followed.

    Attributes:
        measure: What it is, with its unit: the panel that it is drawn in.
        series: Whose: a behaviour, or the measure again.
        values: At each step; NaN where it is not known.
        differences: From the base, on the same problems; empty: not compared.
        is_shown: Whether the figure draws it.
    """

    measure: str
    series: str
    values: Line
    differences: Line = ()
    is_shown: bool = True

    __repr__ = brief


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A line across a panel: chance, or what a control gives.

    Attributes:
        measure: The panel.
        name: What it is.
        value: Where it is.
    """

    measure: str
    name: str
    value: float

    __repr__ = brief


@dataclass(frozen=True, eq=False, slots=True)
class Shares:
    """What a curve is made of: sums above and below a line, for each problem and step.

    Attributes:
        measure: As of a curve.
        series: As of a curve.
        above: What counts.
        below: Of what it counts.
    """

    measure: str
    series: str
    above: Float[np.ndarray, "n n_steps"]
    below: Float[np.ndarray, "n n_steps"]

    __repr__ = brief

    def curve(self, *, is_shown: bool = True) -> Curve:
        """Estimate the curve and its differences from the first step, with intervals over problems.

        Args:
            is_shown: Whether the figure draws it.

        Returns:
            The curve.
        """
        return Curve(
            measure=self.measure,
            series=self.series,
            values=tuple(self._value(step) for step in range(self.n_steps)),
            differences=tuple(self._difference(step) for step in range(self.n_steps)),
            is_shown=is_shown,
        )

    def of(self, is_taken: Bool[np.ndarray, " n"]) -> Shares:
        """Take some of the problems.

        Args:
            is_taken: Which.

        Returns:
            The same of these alone.
        """
        return Shares(self.measure, self.series, self.above[is_taken], self.below[is_taken])

    @property
    def n_steps(self) -> int:
        """Steps of the curve."""
        return int(self.above.shape[1])

    def _value(self, step: int) -> Interval:
        below = self.below[:, step]
        if not below.any():
            return Interval(float("nan"), n=len(below))
        return ratio_over_groups(self.above[:, step], below)

    def _difference(self, step: int) -> Interval:
        if not (self.below[:, step].any() and self.below[:, 0].any()):
            return Interval(float("nan"), n=len(self.below))
        columns = (self.above[:, step], self.below[:, step], self.above[:, 0], self.below[:, 0])
        return ratio_difference_over_groups(*columns)


def shares(measure: str, series: str, above: Sequence[np.ndarray], below: Sequence[np.ndarray]) -> Shares:
    """Put the columns of all steps side by side.

    Args:
        measure: As of a curve.
        series: As of a curve.
        above: What counts at each step, problem by problem.
        below: Of what it counts.

    Returns:
        The shares.
    """
    return Shares(measure, series, np.stack(above, axis=1), np.stack(below, axis=1))
