"""A line of evidence: numbers with intervals and what stands beside them, and what they can and cannot decide.

A line holds what one verb measured of the pair, in the directory of the run that `folder` names. It may come to
findings: each says with which sentences of the exchange it agrees and which ones it contradicts (`findings.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from typing import Any, Literal

import pandas as pd

from ...figures import FigureTable
from ...rundir import brief
from ...stats import LEVEL, Interval
from ..verdict_sentence import Verdict

ReadingRole = Literal["figure", "control", "chance"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineReading:
    """A number of a line.

    Attributes:
        name: What it is.
        role: `figure`; or what it stands beside, `control` or `chance`.
        share: The number with its interval; ends are NaN where it has none.
        unit: Of the number; the figure of the line draws those of the first unit.
    """

    name: str
    role: ReadingRole
    share: Interval
    unit: str

    __repr__ = brief


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceLine:
    """What one piece of evidence says of a pair.

    Attributes:
        piece: Its name, `PIECES`.
        title: The question that it answers.
        size: How much was measured, in words.
        readings: Its numbers, the most important one first.
        says: What was found, in words.
        decides: What this can decide about when and how, and what it cannot.
        findings: Names in `FINDINGS`, of what bears on the sentence.
        verdict: Of a verb that ends with a sentence of its own; None: it has none.
        folder: Where its own results lie, in the directory of the run.
        level: Of the intervals.
    """

    piece: str
    title: str
    size: str
    readings: tuple[LineReading, ...]
    says: str
    decides: str
    findings: tuple[str, ...]
    verdict: Verdict | None
    folder: str
    level: float = LEVEL

    LOOK = ".readings, .says, .table()"
    __repr__ = brief

    def table(self) -> FigureTable | None:
        """Tabulate the small figure: the readings of the first unit; None where no number is known."""
        points = [one for one in self.readings if not isnan(one.share.value)]
        points = [one for one in points if one.unit == points[0].unit]
        if not points:
            return None
        rows = [
            {
                "panel": "",
                "name": one.name,
                "series": one.role,
                "value": one.share.value,
                "low": one.share.low,
                "high": one.share.high,
            }
            for one in points
        ]
        frame = pd.DataFrame(rows).astype(dict.fromkeys(("value", "low", "high"), float))
        options = {
            "title": self.piece,
            "caption": f"{self.size}; {self.percent} intervals over problems",
            "axis": points[0].unit,
        }
        return FigureTable(figure="interval_points", rows=frame, options=options)

    @property
    def percent(self) -> str:
        """The level of the intervals, as 97.5%."""
        return f"{self.level * 100:.6g}%"

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One row for each reading."""
        return [
            {
                "piece": self.piece,
                "reading": one.name,
                "role": one.role,
                **one.share.columns("value"),
                "unit": one.unit,
                "n": one.share.n,
            }
            for one in self.readings
        ]
