"""The result of a measurement of decision tokens: where models diverge, what swaps are worth, figures and a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from ...figures import FigureTable, draw_all, result_page
from ...rundir import expanded, from_row, looked_at, restoring, to_row
from ...rundir.result_files import check_format, write_result
from ...stats import Interval
from .pair_decisions import PairDecisions, in_words
from .settings import RANKS, TOP_SHARES, DecisionsSettings
from .tables import gaps_table, groups_table, lorenz_table, swaps_table

FORMAT = "reasonlens.decisions/1"
TITLE = "Decision tokens: where two models diverge, and what those tokens are worth"
LEAD = (
    "Where the divergence of the two models is, and how accuracy changes when one of them writes and the other one's "
    "token is taken at a few positions: those where they diverge most, beside random, early and unsure ones, as many. "
    "A divergence says how much the models differ there; only swaps say what the difference is worth."
)


@dataclass(frozen=True, eq=False, kw_only=True)
class DecisionsResult:
    """What `decisions` measured, pair by pair."""

    pairs: dict[str, PairDecisions]
    settings: DecisionsSettings

    def sentences(self, name: str) -> list[str]:
        """Say what was measured of a pair; the last sentences are conclusions by the rules of docs/verdicts.md."""
        return in_words(self.pairs[name], self.settings.headline, self.settings.near_zero)

    def to_frame(self) -> pd.DataFrame:
        """Tabulate one row for each figure; intervals in `low` and `high`."""
        rows: list[dict[str, Any]] = []
        for name, pair in self.pairs.items():
            rows.append(_row(name, "", "gap", "thinking less base", pair.gap))
            for one in pair.concentrations:
                own: dict[str, Interval] = {
                    "Jensen-Shannon divergence": one.js,
                    "KL(thinking || base)": one.kl_thinking_base,
                    "KL(base || thinking)": one.kl_base_thinking,
                    "share near zero": one.near_zero,
                    "Gini": one.gini,
                }
                own |= {f"held by the top {share:.0%}": held for share, held in zip(TOP_SHARES, one.top, strict=True)}
                rows += [_row(name, one.writer, figure, "all positions", value) for figure, value in own.items()]
                for group in one.groups:
                    what = f"{group.dimension}: {group.group}"
                    rows.append(_row(name, one.writer, "nats a token", what, group.nats))
                    rows.append(_row(name, one.writer, "share of the tokens", what, group.token_share))
                    rows.append(_row(name, one.writer, "share of the divergence", what, group.divergence_share))
                    rows.append(_row(name, one.writer, "lift", what, group.lift))
            for point in pair.points:
                what = f"{point.chooser}, budget {point.budget:.3g}"
                swaps = {
                    "accuracy": point.accuracy,
                    "swapped": point.swapped,
                    "changed": point.changed,
                    "share of the gap": point.gap,
                    "excess": point.excess,
                }
                for rank, share, of_own in zip(RANKS, point.in_top, point.own_in_top, strict=True):
                    swaps |= {f"changed tokens in top {rank}": share, f"own tokens there in top {rank}": of_own}
                rows += [_row(name, point.writer, figure, what, value) for figure, value in swaps.items()]
        return pd.DataFrame(rows)

    def tables(self) -> dict[str, FigureTable]:
        """Tabulate each figure by its name."""
        return {
            "swaps": swaps_table(self.pairs),
            "gaps": gaps_table(self.pairs),
            "lorenz": lorenz_table(self.pairs),
            "groups": groups_table(self.pairs),
        }

    def figures(self) -> dict[str, go.Figure]:
        """Draw all figures of the report, by name."""
        return draw_all(self.tables())

    def figure(self) -> go.Figure:
        """Draw accuracy by budget in both directions, with controls."""
        return self.tables()["swaps"].draw()

    def to_dict(self) -> dict[str, Any]:
        """Return what `results.json` holds; None for NaN."""
        return {
            "format": FORMAT,
            "pairs": {name: to_row(pair) for name, pair in self.pairs.items()},
            "settings": asdict(self.settings),
        }

    @classmethod
    @restoring
    def from_dict(cls, content: Mapping[str, Any]) -> DecisionsResult:
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
            pairs={name: from_row(PairDecisions, pair) for name, pair in content["pairs"].items()},
            settings=from_row(DecisionsSettings, content["settings"]),
        )

    def report(self) -> str:
        """Write one page that opens offline."""
        sentences = [f"{name}. {sentence}" for name in self.pairs for sentence in self.sentences(name)]
        return result_page(TITLE, LEAD, self.figures(), self.to_frame(), sentences)

    def write(self, directory: str | Path) -> None:
        """Write results.json, table.csv, tables/ and report.html.

        Args:
            directory: Made if there is none.

        Raises:
            InputError: It cannot be written.
        """
        write_result(expanded(directory), self, self.report())

    @looked_at(".figure(), .sentences(NAME), .to_frame(), .pairs")
    def __repr__(self) -> str:
        parts = [f"{name}: {pair.verdicts['base'].headline}" for name, pair in self.pairs.items()]
        return f"DecisionsResult({'; '.join(parts)})"

    def _repr_html_(self) -> str:
        """Show what was measured of each pair in words; `figures()` draws it, `report()` is the whole page."""
        items = [
            f"<li>{escape(name)}. {escape(sentence)}</li>" for name in self.pairs for sentence in self.sentences(name)
        ]
        return f"<p>{escape(TITLE)}</p><ul>{''.join(items)}</ul>"


def _row(pair: str, writer: str, figure: str, what: str, interval: Interval) -> dict[str, Any]:
    return {
        "pair": pair,
        "writer": writer,
        "figure": figure,
        "of": what,
        **interval.columns("value"),
        "n": interval.n,
    }
