"""Find where what is followed changes along a training: when, whether at all, and whether at once.

Each curve has the place where two levels fit it best, with an interval over problems; the p-value of a level curve
(steps permuted within each problem; of single series, the series permuted), corrected over all curves (Holm); and its
shape (`stats/change_shape.py`). The control is the same curve with its steps permuted once: no change by its making.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import nan

import numpy as np
from jaxtyping import Float

from ...rundir import brief
from ...stats import (
    LEVEL,
    Interval,
    change_point_of_series,
    change_point_over_groups,
    change_shape_of_series,
    change_shape_over_groups,
    change_test_of_series,
    change_test_over_groups,
    holm,
)
from .curve import Shares

NONE = "no change"
FEWER = 199  # permutations of the control


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveChange:
    """Where a curve changes.

    Attributes:
        measure: What it is of.
        series: Whose.
        at: The middle of the two steps between which two levels fit best; NaN: the curve has a gap.
        first: The step before the lower end of `at`.
        last: The step after the upper end.
        before: Mean of the steps before `at`.
        after: Mean of those behind.
        p: Of no change.
        p_corrected: The same, corrected over all curves of the run.
        shape: `jump`, `steady`, `bent`, `undecided`; `no change` where that is not refuted.
        control: `at` of the same curve with its steps permuted.
        control_p: `p` of that curve.
    """

    measure: str
    series: str
    at: Interval
    first: float
    last: float
    before: float
    after: float
    p: float
    p_corrected: float
    shape: str
    control: Interval
    control_p: float

    __repr__ = brief

    @property
    def is_shown(self) -> bool:
        """Whether there is a change at all, corrected for how many curves were looked at."""
        return self.shape != NONE


def changes_of_shares(
    curves: Sequence[Shares], steps: Sequence[float], seed: int = 0, n_resamples: int = 1000
) -> tuple[CurveChange, ...]:
    """Find the changes of curves of problems.

    Args:
        curves: What is followed.
        steps: Where.
        seed: Of resamples and permutations.
        n_resamples: Of each.

    Returns:
        One for each curve.
    """
    changes = []
    for number, curve in enumerate(curves):
        above, below = curve.above, curve.below
        at = change_point_over_groups(above, steps, None, seed, n_resamples, below)
        p = change_test_over_groups(above, None, seed, n_resamples, below)
        shape = change_shape_over_groups(above, steps, None, seed, n_resamples, below)
        mixed, mixed_below = _permuted(curve, [seed, 1, number])
        control = change_point_over_groups(mixed, steps, None, seed, n_resamples, mixed_below)
        control_p = change_test_over_groups(mixed, None, seed, min(n_resamples, FEWER), mixed_below)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = above.sum(axis=0) / below.sum(axis=0)
        changes.append(_change(curve.measure, curve.series, mean, steps, at, p, shape, control, control_p))
    return corrected(changes)


def changes_of_series(
    curves: Sequence[tuple[str, str, Float[np.ndarray, " n_steps"]]],
    steps: Sequence[float],
    seed: int = 0,
    n_resamples: int = 1000,
) -> tuple[CurveChange, ...]:
    """Find the changes of series of which nothing else is known.

    Args:
        curves: Measure, series and values of each.
        steps: Where.
        seed: Of draws and permutations.
        n_resamples: Of each.

    Returns:
        One for each curve.
    """
    changes = []
    for number, (measure, series, values) in enumerate(curves):
        mixed = np.random.default_rng([seed, 1, number]).permutation(values)
        changes.append(
            _change(
                measure,
                series,
                values,
                steps,
                change_point_of_series(values, steps, seed, n_resamples),
                change_test_of_series(values, seed, n_resamples),
                change_shape_of_series(values, steps, seed, n_resamples),
                change_point_of_series(mixed, steps, seed, n_resamples),
                change_test_of_series(mixed, seed, n_resamples),
            )
        )
    return corrected(changes)


def corrected(changes: Sequence[CurveChange]) -> tuple[CurveChange, ...]:
    """Correct the p-values over all curves, and take the shapes away where no change is shown."""
    if not changes:
        return ()
    corrections = holm(np.array([change.p for change in changes]))
    return tuple(
        replace(change, p_corrected=float(p), shape=change.shape if p <= 1 - LEVEL + 1e-12 else NONE)
        for change, p in zip(changes, corrections, strict=True)
    )


def _change(
    measure: str,
    series: str,
    mean: Float[np.ndarray, " n_steps"],
    steps: Sequence[float],
    at: Interval,
    p: float,
    shape: str,
    control: Interval,
    control_p: float,
) -> CurveChange:
    places = np.asarray(steps, dtype=np.float64)
    is_before = places < at.value
    is_known = bool(np.isfinite(at.value))
    below, above = places[places < at.low], places[places > at.high]
    return CurveChange(
        measure=measure,
        series=series,
        at=at,
        first=float(below[-1]) if len(below) else nan,
        last=float(above[0]) if len(above) else nan,
        before=float(mean[is_before].mean()) if is_known else nan,
        after=float(mean[~is_before].mean()) if is_known else nan,
        p=p,
        p_corrected=p,
        shape=shape,
        control=control,
        control_p=control_p,
    )


def _permuted(curve: Shares, seed: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Permute the steps of each row."""
    order = np.random.default_rng(seed).random(curve.above.shape).argsort(axis=1)
    return np.take_along_axis(curve.above, order, axis=1), np.take_along_axis(curve.below, order, axis=1)
