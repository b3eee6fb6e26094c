"""Tabulate the dynamics of trainings for their figures."""

from __future__ import annotations

from math import isfinite, nan
from typing import Any

import pandas as pd

from ...figures import FigureTable
from ...figures.steps import BAND, LEVEL, LINE
from .curve import ACCURACY, ATTEMPTS, TRAINED, WHEN
from .run_dynamics import RunDynamics

BASE = "the base"


def steps_table(run: RunDynamics, title: str) -> FigureTable:
    """Tabulate everything that the figure of a training draws.

    Args:
        run: What was followed.
        title: Of the figure.

    Returns:
        The table.
    """
    rows: list[dict[str, Any]] = []
    for curve in run.curves:
        if curve.is_shown:
            rows += [
                _row(curve.measure, curve.series, LINE, step, one.value, one.low, one.high)
                for step, one in zip(run.steps, curve.values, strict=True)
                if isfinite(one.value)
            ]
    for one in run.exchanges:
        share = one.exchange.when_share
        if isfinite(share.value):
            rows.append(_row(WHEN, WHEN, LINE, one.step, share.value, share.low, share.high))
    lines = {(row["panel"], row["series"]) for row in rows}
    panels = {panel for panel, _ in lines}
    rows += [
        _row(level.measure, level.name, LEVEL, nan, level.value, nan, nan)
        for level in run.levels
        if level.measure in panels
    ]
    if (ACCURACY, ACCURACY) in lines:
        rows.append(_row(ACCURACY, BASE, LEVEL, nan, run.curve(ACCURACY).values[0].value, nan, nan))
    for change in run.changes:
        if change.is_shown and (change.measure, change.series) in lines:
            first, last = _inside(change.first, run.steps[0]), _inside(change.last, run.steps[-1])
            rows.append(_row(change.measure, change.series, BAND, nan, change.at.value, first, last))
    if run.collapse is not None and isfinite(run.collapse.onset.value) and ATTEMPTS in panels:
        onset = run.collapse.onset
        ends = _inside(onset.low, run.steps[0]), _inside(onset.high, run.steps[-1])
        rows.append(_row(ATTEMPTS, "onset of collapse", BAND, nan, onset.value, *ends))
    if run.memorised is not None and isfinite(run.memorised.at.value) and TRAINED in panels:
        at = run.memorised.at
        ends = _inside(at.low, run.steps[0]), _inside(at.high, run.steps[-1])
        rows.append(_row(TRAINED, "memorised", BAND, nan, at.value, *ends))
    frame = pd.DataFrame(rows).astype(dict.fromkeys(("step", "value", "low", "high"), float))
    n = f"n = {run.n_problems} problems" if run.n_problems else "n: totals of responses"
    caption = (
        f"{run.name}; {n}; shades: 95% intervals over problems; bands: where a curve changes, p corrected below 0.05"
        f"\n{run.verdict.headline}"
    )
    return FigureTable(figure="step_panels", rows=frame, options={"title": title, "caption": caption, "axis": run.axis})


def _inside(end: float, limit: float) -> float:
    return end if isfinite(end) else limit


def _row(panel: str, series: str, mark: str, step: float, value: float, low: float, high: float) -> dict[str, Any]:
    return {"panel": panel, "series": series, "mark": mark, "step": step, "value": value, "low": low, "high": high}
