"""The result of a hybrid experiment: a row for each pair and arm, a verdict for each pair, a figure and a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from ...figures import FigureTable, draw_all
from ...rundir import InputError, expanded, from_row, looked_at, restoring
from ...rundir.result_files import REPORT, RESULTS, TABLE, check_format, write_result
from .pair_result import PairResult
from .report import report_html
from .settings import HybridSettings
from .tables import gap_table, search_table

FORMAT = "reasonlens.hybrid/6"
SHOWN = (  # in notebooks
    *("arm", "accuracy", "gap", "gap_low", "gap_high", "steered", "effective", "p_value", "truncated"),
    *("unsure", "answered_in_thoughts", "n"),
)
ARTIFACTS = (RESULTS, TABLE, REPORT)


@dataclass(frozen=True, eq=False, kw_only=True)
class HybridResult:
    """What `hybrid` measured, pair by pair."""

    pairs: dict[str, PairResult]
    settings: HybridSettings

    def to_frame(self) -> pd.DataFrame:
        """Tabulate one row for each pair and arm; intervals in `_low` and `_high`."""
        return pd.DataFrame(
            [{"pair": name, **arm.to_dict()} for name, pair in self.pairs.items() for arm in pair.arms.values()]
        )

    def tables(self) -> dict[str, FigureTable]:
        """Tabulate each figure by its name."""
        searches = [pair.search.assign(pair=name) for name, pair in self.pairs.items()]
        return {
            "gap": gap_table(self.to_frame()),
            "search": search_table(pd.concat(searches, ignore_index=True), self.settings.kl_limit_nats),
        }

    def figures(self) -> dict[str, go.Figure]:
        """Draw all figures of the report, by name."""
        return draw_all(self.tables())

    def figure(self) -> go.Figure:
        """Draw the gap recovered by every arm, with intervals."""
        return self.figures()["gap"]

    def to_dict(self) -> dict[str, Any]:
        """Return what `results.json` holds: pair -> arm -> figures, and how they were come by."""
        return {
            "format": FORMAT,
            "pairs": {name: pair.to_dict() for name, pair in self.pairs.items()},
            "settings": asdict(self.settings),
        }

    @classmethod
    @restoring
    def from_dict(cls, row: Mapping[str, Any]) -> HybridResult:
        """Read what `to_dict` returned; models, components and responses are not in it.

        Raises:
            InputError: It is no result of this version.
        """
        check_format(row, FORMAT)
        try:
            pairs = {name: PairResult.from_dict(name, pair) for name, pair in row["pairs"].items()}
            return cls(pairs=pairs, settings=from_row(HybridSettings, row["settings"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"this is no result of `hybrid`: {error!r}; give what its results.json holds") from error

    def report(self) -> str:
        """Write one page that opens offline; examples are on it where the result is of this session's run."""
        return report_html(self.pairs, self.settings, self.figures())

    def write(self, directory: str | Path) -> None:
        """Write results.json, table.csv, tables/ and report.html.

        Args:
            directory: Made if there is none.

        Raises:
            InputError: It cannot be written.
        """
        write_result(expanded(directory), self, self.report())

    @looked_at(".figure(), .to_frame()")
    def __repr__(self) -> str:
        return f"HybridResult({'; '.join(f'{name}: {pair.verdict.headline}' for name, pair in self.pairs.items())})"

    def _repr_html_(self) -> str:
        """Show the verdicts and the arms of each pair; `figure()` draws them, `report()` is the whole page."""
        figures = self.to_frame()
        formatters = {name: "{:.3f}".format for name in SHOWN[1:-1]} | {"p_value": "{:.2g}".format}
        parts = []
        for name, pair in self.pairs.items():
            rows = figures[figures["pair"] == name][list(SHOWN)]
            table = rows.to_html(index=False, formatters=formatters, na_rep="–")
            parts.append(f"<p><b>{escape(name)}</b>: {escape(str(pair.verdict))}</p>{table}")
        return "".join(parts)
