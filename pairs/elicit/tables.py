"""Tabulate the figures of a comparison of arms."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ...figures import FigureTable
from ...stats import Interval
from .measure import ControlPoint, ElicitFigures

CONTROL = "majority of plain samples"


def cost_table(figures: Sequence[ElicitFigures], control: Sequence[ControlPoint], caption: str) -> FigureTable:
    """Tabulate accuracy by the FLOPs of a response, and that of the control by the FLOPs of its samples."""
    rows = [{"arm": one.arm, "role": one.role, "flops": one.flops.value, **_ends(one.accuracy)} for one in figures]
    rows += [{"arm": CONTROL, "role": "control", "flops": point.flops, **_ends(point.accuracy)} for point in control]
    return _table("cost_points", rows, "What each arm reaches, and what a response costs", caption)


def gains_table(figures: Sequence[ElicitFigures], caption: str) -> FigureTable:
    """Tabulate gain over the plain prompt and excess over the strongest cheap control."""
    rows = [
        {"panel": "", "name": one.arm, "series": series, **_ends(interval)}
        for one in figures[1:] or figures
        for series, interval in (("over the plain prompt", one.gain), ("over the strongest cheap control", one.excess))
    ]
    return _table("interval_points", rows, "What each arm gains", caption, axis="difference of accuracy")


def off_task_table(figures: Sequence[ElicitFigures], caption: str) -> FigureTable:
    """Tabulate the change of the loss off the task."""
    rows = [{"panel": "", "name": one.arm, "series": "less the base's", **_ends(one.loss_change)} for one in figures]
    return _table("interval_points", rows, "Loss on text off the task", caption, axis="nats a token, less the base's")


def wordings_table(figures: Sequence[ElicitFigures], caption: str) -> FigureTable:
    """Tabulate the spread of accuracy over wordings, and that of shuffled answers."""
    rows = [
        {"panel": "", "name": one.arm, "series": series, **_ends(interval)}
        for one in figures
        for series, interval in (("over wordings", one.spread), ("shuffled", Interval(one.spread_shuffled)))
    ]
    return _table(
        "interval_points", rows, "Accuracy under other wordings", caption, axis="greatest less least accuracy"
    )


def _ends(interval: Interval) -> dict[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}


def _table(figure: str, rows: Sequence[dict[str, object]], title: str, caption: str, **options: str) -> FigureTable:
    frame = pd.DataFrame(rows).astype(dict.fromkeys(("value", "low", "high"), float))
    return FigureTable(figure=figure, rows=frame, options={"title": title, "caption": caption, **options})
