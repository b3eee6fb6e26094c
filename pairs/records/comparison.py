"""Hold what two runs of one command differ in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from math import isnan
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from ...figures import FigureTable, draw_all, result_page
from ...rundir import expanded, from_row, looked_at, restoring, to_row
from ...rundir.result_files import check_format, write_result
from .settings_of_runs import RunSetting

FORMAT = "reasonlens.comparison/2"
LEAD = (
    "Differences of two runs, the first minus the second, with 95% intervals from the intervals of both as if they "
    "were independent: too wide where the same problems stand behind both."
)


@dataclass(frozen=True, eq=False, kw_only=True)
class RunComparison:
    """The result of `compare`."""

    first: str  # the run that is looked at
    second: str  # the run that is subtracted
    measure: str  # of the figure
    keys: tuple[str, ...]  # the columns that name a row
    frame: pd.DataFrame  # keys, measure, first, second, difference with low and high, a row a figure of both
    n_alone: tuple[int, int]  # rows that only one of the runs has
    differs: tuple[RunSetting, ...]  # settings and constants in which the runs differ

    def to_frame(self) -> pd.DataFrame:
        """Tabulate one row for each key and measure: both values, and the difference with its interval."""
        return self.frame.copy()

    def settings_frame(self) -> pd.DataFrame:
        """Tabulate one row for each setting or constant in which the runs differ: its name and both values."""
        rows = [{"setting": one.name, "first": one.first, "second": one.second} for one in self.differs]
        return pd.DataFrame(rows, columns=["setting", "first", "second"])

    def of(self, measure: str) -> pd.DataFrame:
        """Select the rows of one measure."""
        return self.frame[self.frame["measure"] == measure]

    def tables(self) -> dict[str, FigureTable]:
        """Tabulate the figure: a heatmap where rows are behaviours and layers, else points."""
        rows = self.of(self.measure)
        options = {
            "title": f"{self.measure}: {self.first} minus {self.second}",
            "caption": f"n = {len(rows)} rows of both runs; ringed or away from 0: the 95% interval excludes 0",
        }
        low, high = rows["difference_low"], rows["difference_high"]
        if {"behaviour", "layer"} == set(self.keys):
            table = pd.DataFrame(
                {
                    "behaviour": rows["behaviour"],
                    "layer": rows["layer"].astype(float),
                    "value": rows["difference"],
                    "low": low,
                    "high": high,
                    "is_sure": (low > 0) | (high < 0),
                }
            )
            return {"differences": FigureTable(figure="difference_heatmap", rows=table, options=options)}
        named = [
            ", ".join(str(row[key]) for key in self.keys if row[key] == row[key]) or self.measure
            for row in rows.to_dict("records")
        ]
        table = pd.DataFrame(
            {
                "panel": self.measure,
                "name": named,
                "series": "difference",
                "value": rows["difference"].to_numpy(),
                "low": low.to_numpy(),
                "high": high.to_numpy(),
            }
        )
        options |= {"axis": f"difference of {self.measure}"}
        return {"differences": FigureTable(figure="interval_points", rows=table, options=options)}

    def figures(self) -> dict[str, go.Figure]:
        """Draw the figure by its name."""
        return draw_all(self.tables())

    def figure(self) -> go.Figure:
        """Draw the differences of the measure."""
        return self.figures()["differences"]

    def in_words(self) -> list[str]:
        """Say in which settings the runs differ, and of how many rows the interval of the difference excludes 0."""
        rows = self.of(self.measure)
        known = rows["difference_low"].notna()
        above, below = int((rows["difference_low"] > 0).sum()), int((rows["difference_high"] < 0).sum())
        sentences = [self._differing()]
        sentences.append(
            f"{self.measure}: {self.first} is above {self.second} in {above} of {int(known.sum())} rows and below in "
            f"{below}, by intervals that are not corrected for their number: of runs that do not differ, up to "
            f"{0.05 * known.sum():.1f} would exclude 0 by chance."
        )
        for name, n in zip((self.first, self.second), self.n_alone, strict=True):
            if n:
                alone = "1 row is" if n == 1 else f"{n} rows are"
                sentences.append(f"{alone} of {name} alone and left out.")
        return sentences

    def to_dict(self) -> dict[str, Any]:
        """Return what results.json holds; None for NaN."""
        return {
            "format": FORMAT,
            "first": self.first,
            "second": self.second,
            "measure": self.measure,
            "keys": list(self.keys),
            "n_alone": list(self.n_alone),
            "differs": [to_row(one) for one in self.differs],
            "rows": [{name: _plain(value) for name, value in row.items()} for row in self.frame.to_dict("records")],
        }

    @classmethod
    @restoring
    def from_dict(cls, content: Mapping[str, Any]) -> RunComparison:
        """Read what `to_dict` returned.

        Args:
            content: Plain values.

        Returns:
            The comparison.

        Raises:
            InputError: It is no comparison of this version.
        """
        check_format(content, FORMAT)
        frame = pd.DataFrame(content["rows"])
        numbers = ["first", "second", "difference", "difference_low", "difference_high"]
        frame[numbers] = frame[numbers].astype(float)
        n_first, n_second = content["n_alone"]
        return cls(
            first=content["first"],
            second=content["second"],
            measure=content["measure"],
            keys=tuple(content["keys"]),
            frame=frame,
            n_alone=(n_first, n_second),
            differs=tuple(from_row(RunSetting, one) for one in content["differs"]),
        )

    def report(self) -> str:
        """Write one page that opens offline."""
        title = f"{self.first} beside {self.second}"
        settings = self.settings_frame().rename(columns={"setting": "measure"})
        rows = pd.concat([settings, self.of(self.measure).astype(object)]) if self.differs else self.of(self.measure)
        rows = rows[[*self.frame.columns]]
        return result_page(title, LEAD, self.figures(), rows, self.in_words())

    def _differing(self) -> str:
        """Say which settings and constants differ."""
        if not self.differs:
            return "No setting and no constant that both runs hold differs."
        words = "; ".join(f"{one.name} {one.first} and {one.second}" for one in self.differs)
        return f"The runs differ in ({self.first} and {self.second}): {words}."

    def write(self, directory: str | Path) -> None:
        """Write results.json, table.csv, tables/ and report.html.

        Args:
            directory: Made if there is none.

        Raises:
            InputError: It cannot be written.
        """
        write_result(expanded(directory), self, self.report())

    @looked_at(".figure(), .to_frame(), .in_words()")
    def __repr__(self) -> str:
        n_rows = len(self.of(self.measure))
        return f"RunComparison({self.first:.80} - {self.second:.80}: {self.measure:.80}, {n_rows} rows)"

    def _repr_html_(self) -> str:
        """Show in words what differs."""
        return "".join(f"<p>{escape(sentence)}</p>" for sentence in self.in_words())


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and isnan(value) else value
