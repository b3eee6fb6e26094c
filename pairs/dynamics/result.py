"""The result of dynamics: everything that was followed along one training or several, a figure of each, and a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from html import escape
from math import nan
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from ...figures import FigureTable, draw_all, result_page
from ...rundir import expanded, from_row, looked_at, restoring
from ...rundir.result_files import check_format, write_result
from ...stats import Interval
from .curve import WHEN
from .run_dynamics import RunDynamics
from .settings import DynamicsSettings
from .tables import steps_table

FORMAT = "reasonlens.dynamics/1"
TITLE = "What changes along a training, and when"
LEAD = (
    "The same problems, prompts and random numbers at every step. A change-point is where two levels fit a curve best; "
    "bands are 95% intervals over resampled problems. Whether there is a change at all is decided against the same "
    "curves with their steps permuted within each problem, corrected over all curves; whether it is a jump, against a "
    "straight line."
)


@dataclass(frozen=True, eq=False, kw_only=True)
class DynamicsResult:
    """What `dynamics` followed, training by training."""

    runs: dict[str, RunDynamics]
    settings: DynamicsSettings
    notes: tuple[str, ...] = ()

    @property
    def run(self) -> RunDynamics:
        """The training, or the first of several."""
        return next(iter(self.runs.values()))

    def to_frame(self) -> pd.DataFrame:
        """Tabulate one row for each training, curve and step, with the difference from the base, and the intervals."""
        rows = []
        for name, run in self.runs.items():
            for curve in run.curves:
                differences = curve.differences or (Interval(nan),) * len(run.steps)
                for step, value, difference in zip(run.steps, curve.values, differences, strict=True):
                    columns = {**value.columns("value"), **difference.columns("difference")}
                    place = {"training": name, "measure": curve.measure, "series": curve.series, "step": step}
                    rows.append({**place, **columns, "n": value.n})
            for one in run.exchanges:
                share, gap = one.exchange.when_share, one.exchange.gap
                columns = {**share.columns("value"), **gap.columns("difference")}
                rows.append(
                    {"training": name, "measure": WHEN, "series": WHEN, "step": one.step, **columns, "n": share.n}
                )
        return pd.DataFrame(rows)

    def changes_frame(self) -> pd.DataFrame:
        """Tabulate one row for each training and curve: where it changes, how, and what its control gives."""
        return pd.DataFrame(
            [
                {
                    "training": name,
                    "measure": one.measure,
                    "series": one.series,
                    **one.at.columns("at"),
                    "before": one.before,
                    "after": one.after,
                    "p": one.p,
                    "p_corrected": one.p_corrected,
                    "shape": one.shape,
                    **one.control.columns("control_at"),
                    "control_p": one.control_p,
                    "n": one.at.n,
                }
                for name, run in self.runs.items()
                for one in run.changes
            ]
        )

    def gains_frame(self) -> pd.DataFrame:
        """Tabulate one row for each training and step: the gain over the base, and its parts."""
        return pd.DataFrame(
            [
                {"training": name, "step": one.step}
                | {
                    key: value
                    for part in ("gain", "form", "beyond", "form_share")
                    for key, value in getattr(one, part).columns(part).items()
                }
                | {"n": one.gain.n}
                for name, run in self.runs.items()
                for one in run.gains
            ]
        )

    def tables(self) -> dict[str, FigureTable]:
        """Tabulate each figure by its name."""
        if len(self.runs) == 1:
            return {"steps": steps_table(self.run, TITLE)}
        return {f"steps-{number}": steps_table(run, run.name) for number, run in enumerate(self.runs.values())}

    def figures(self) -> dict[str, go.Figure]:
        """Draw all figures of the report, by name: one a training."""
        return draw_all(self.tables())

    def figure(self) -> go.Figure:
        """Draw everything along the steps of the training, or of the first of several."""
        return next(iter(self.figures().values()))

    def sentences(self) -> list[str]:
        """Say what is concluded of each training, and what must be known with it."""
        several = len(self.runs) > 1
        sentences = [
            f"{name}. {sentence}" if several else sentence
            for name, run in self.runs.items()
            for sentence in run.sentences()
        ]
        return [*sentences, *(f"{note[:1].upper()}{note[1:]}." for note in self.notes)]

    def to_dict(self) -> dict[str, Any]:
        """Return what `results.json` holds; None for NaN."""
        return {
            "format": FORMAT,
            "runs": {name: run.to_dict() for name, run in self.runs.items()},
            "settings": asdict(self.settings),
            "notes": list(self.notes),
        }

    @classmethod
    @restoring
    def from_dict(cls, content: Mapping[str, Any]) -> DynamicsResult:
        """Read what `to_dict` returned.

        Args:
            content: Plain values.

        Returns:
            The result.

        Raises:
            InputError: It is no result of this version.
        """
        check_format(content, FORMAT)
        return cls(
            runs={name: RunDynamics.from_dict(run) for name, run in content["runs"].items()},
            settings=from_row(DynamicsSettings, content["settings"]),
            notes=tuple(str(note) for note in content["notes"]),
        )

    def report(self) -> str:
        """Write one page that opens offline."""
        return result_page(TITLE, LEAD, self.figures(), self.to_frame(), self.sentences())

    def write(self, directory: str | Path) -> None:
        """Write results.json, table.csv, tables/ and report.html.

        Args:
            directory: Made if there is none.

        Raises:
            InputError: It cannot be written.
        """
        write_result(expanded(directory), self, self.report())

    @looked_at(".figure(), .to_frame(), .changes_frame(), .sentences()")
    def __repr__(self) -> str:
        return f"DynamicsResult({'; '.join(f'{name}: {run.verdict.headline}' for name, run in self.runs.items())})"

    def _repr_html_(self) -> str:
        """Show what is concluded in words; `figure()` draws it, `report()` is the whole page."""
        items = "".join(f"<li>{escape(sentence)}</li>" for sentence in self.sentences())
        return f"<p>{escape(TITLE)}</p><ul>{items}</ul>"
