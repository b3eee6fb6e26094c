"""The result of an exchange: a row for each pair and cell, the shares of each pair, a figure and a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from ...figures import FigureTable, draw_all, result_page
from ...rundir import expanded, from_row, looked_at, restoring
from ...rundir.result_files import check_format, write_result
from ...stats import LEVEL
from ..verdict_sentence import Verdict
from .pair_exchange import PairExchange
from .reading import reading_of
from .settings import ExchangeSettings
from .tables import shares_table

FORMAT = "reasonlens.exchange/4"
TITLE = "When or how: sentences exchanged between two models"
LEAD = (
    "One model decides what each sentence does, the other one writes it. The when-share is the part of the gap that "
    "goes with who decides, the how-share the part that goes with who writes; they are Shapley shares and add up to 1. "
    "One control writes the thinking model's behaviours in random order: what it recovers is not a matter of moments. "
    "The other lets the thinking model exchange with itself: what it then loses is lost by the exchange."
)
CELLS = (
    "Rows of the table: each model alone (base, thinking); when: the thinking model decides and the base writes; how: "
    "the reverse; and both controls. Shares: truncated, cut off; unsure, not to be graded; led, sentences begun with "
    "the decider's words, and their tokens; plans, tokens of the decider's plans."
)


@dataclass(frozen=True, eq=False, kw_only=True)
class ExchangeResult:
    """What `exchange` measured, pair by pair."""

    pairs: dict[str, PairExchange]
    settings: ExchangeSettings
    level: float = LEVEL  # of the intervals

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """What is concluded about each pair, by the rules of docs/verdicts.md."""
        takes_plans = bool(self.settings.plans)
        return {name: reading_of(pair, takes_plans=takes_plans) for name, pair in self.pairs.items()}

    def to_frame(self) -> pd.DataFrame:
        """Tabulate one row for each pair and cell, with the shares of the pair; intervals in `_low` and `_high`."""
        rows = []
        for name, pair in self.pairs.items():
            shares: dict[str, Any] = {}
            for share in ("gap", "when_share", "how_share", "control_share"):
                interval = getattr(pair, share)
                if interval is not None:
                    shares |= {share: interval.value, f"{share}_low": interval.low, f"{share}_high": interval.high}
            rows += [{"pair": name, **row, **shares} for row in pair.rows]
        return pd.DataFrame(rows)

    def tables(self) -> dict[str, FigureTable]:
        """Tabulate each figure by its name."""
        return {"shares": shares_table(self.pairs, self.level)}

    def figures(self) -> dict[str, go.Figure]:
        """Draw all figures of the report, by name."""
        return draw_all(self.tables())

    def figure(self) -> go.Figure:
        """Draw the when-share of every pair, with intervals, and the control beside it."""
        return self.figures()["shares"]

    def to_dict(self) -> dict[str, Any]:
        """Return what `results.json` holds: pair -> shares and cells, and the settings."""
        return {
            "format": FORMAT,
            "pairs": {
                name: pair.to_dict() | {"verdict": self.verdicts[name].to_dict()} for name, pair in self.pairs.items()
            },
            "settings": asdict(self.settings),
            "level": self.level,
        }

    @classmethod
    @restoring
    def from_dict(cls, content: Mapping[str, Any]) -> ExchangeResult:
        """Read what `to_dict` returned.

        Args:
            content: Plain values.

        Returns:
            The result.

        Raises:
            InputError: It is no result of this version.
        """
        check_format(content, FORMAT)
        pairs = {
            name: PairExchange.from_dict({field: value for field, value in pair.items() if field != "verdict"})
            for name, pair in content["pairs"].items()
        }
        settings = from_row(ExchangeSettings, content["settings"])
        return cls(pairs=pairs, settings=settings, level=float(content.get("level", LEVEL)))

    def report(self) -> str:
        """Write one page that opens offline."""
        sentences = [f"{name}. {verdict}" for name, verdict in self.verdicts.items()]
        return result_page(TITLE, f"{LEAD} {CELLS}", self.figures(), self.to_frame(), sentences)

    def write(self, directory: str | Path) -> None:
        """Write results.json, table.csv, tables/ and report.html.

        Args:
            directory: Made if there is none.

        Raises:
            InputError: It cannot be written.
        """
        write_result(expanded(directory), self, self.report())

    @looked_at(".figure(), .to_frame(), .verdicts")
    def __repr__(self) -> str:
        return f"ExchangeResult({'; '.join(f'{name}: {one.headline}' for name, one in self.verdicts.items())})"

    def _repr_html_(self) -> str:
        """Show the shares of each pair; `figure()` draws them, `report()` is the whole page."""
        rows = [
            f"<tr><td>{escape(name)}</td><td>{pair.gap}</td><td>{pair.when_share}</td><td>{pair.how_share}</td>"
            f"<td>{escape(str(self.verdicts[name]))}</td></tr>"
            for name, pair in self.pairs.items()
        ]
        head = "<tr><th>pair</th><th>gap</th><th>when-share</th><th>how-share</th><th>verdict</th></tr>"
        return f"<table>{head}{''.join(rows)}</table>"
