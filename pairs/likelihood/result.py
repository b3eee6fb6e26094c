"""The result of a likelihood measurement: losses, ranks and matches of each pair, figures and a page."""

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
from .pair_likelihood import PairLikelihood, in_words
from .settings import LikelihoodSettings
from .tables import losses_table, matches_table, ranks_table

FORMAT = "reasonlens.likelihood/1"
TITLE = "What the base already holds of a thinking model's responses"
LEAD = (
    "How likely the base holds each token of the thinking model's responses, beside its own; and how nearly it writes "
    "the thinking model's behaviours if it may try several times, beside what chance does. A base that would write all "
    "of it says that training chose among what was there; it does not say what chose it is worth."
)


@dataclass(frozen=True, eq=False, kw_only=True)
class LikelihoodResult:
    """What `likelihood` measured, pair by pair."""

    pairs: dict[str, PairLikelihood]
    settings: LikelihoodSettings

    def to_frame(self) -> pd.DataFrame:
        """Tabulate one row for each figure; intervals in `low` and `high`."""
        rows: list[dict[str, Any]] = []
        for name, pair in self.pairs.items():
            for loss in pair.losses:
                rows.append(_row(name, "nats a token", f"{loss.writer}, read by {loss.reader}", loss.nats_a_token))
                rows.append(
                    _row(name, "nats a character", f"{loss.writer}, read by {loss.reader}", loss.nats_a_character)
                )
            for rank in pair.ranks:
                what = f"{rank.behaviour}, {rank.place}"
                rows.append(_row(name, f"thinking tokens in the base's top {rank.rank}", what, rank.share))
                rows.append(_row(name, f"less the base's own, top {rank.rank}", what, rank.excess))
            for match in pair.matches:
                rows.append(_row(name, f"least distance of {match.k}", match.source, match.distance))
                rows.append(_row(name, f"exact among {match.k}", match.source, match.exact))
            for vector in pair.vectors:
                losses = {"with its vector": vector.loss, "unsteered": vector.unsteered, "random": vector.random}
                rows += [
                    _row(name, f"loss of {vector.behaviour} ({vector.writer})", what, Interval(value))
                    for what, value in losses.items()
                ]
        return pd.DataFrame(rows)

    def tables(self) -> dict[str, FigureTable]:
        """Tabulate each figure by its name."""
        return {
            "losses": losses_table(self.pairs),
            "ranks": ranks_table(self.pairs),
            "matches": matches_table(self.pairs),
        }

    def figures(self) -> dict[str, go.Figure]:
        """Draw all figures of the report, by name."""
        return draw_all(self.tables())

    def figure(self) -> go.Figure:
        """Draw how nearly the base's responses match the thinking model's, by their number."""
        return self.figures()["matches"]

    def to_dict(self) -> dict[str, Any]:
        """Return what `results.json` holds; None for NaN."""
        return {
            "format": FORMAT,
            "pairs": {name: to_row(pair) for name, pair in self.pairs.items()},
            "settings": asdict(self.settings),
        }

    @classmethod
    @restoring
    def from_dict(cls, content: Mapping[str, Any]) -> LikelihoodResult:
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
            pairs={name: from_row(PairLikelihood, pair) for name, pair in content["pairs"].items()},
            settings=from_row(LikelihoodSettings, content["settings"]),
        )

    def report(self) -> str:
        """Write one page that opens offline."""
        sentences = [f"{name}. {sentence}" for name, pair in self.pairs.items() for sentence in in_words(pair)]
        return result_page(TITLE, LEAD, self.figures(), self.to_frame(), sentences)

    def write(self, directory: str | Path) -> None:
        """Write results.json, table.csv, tables/ and report.html.

        Args:
            directory: Made if there is none.

        Raises:
            InputError: It cannot be written.
        """
        write_result(expanded(directory), self, self.report())

    @looked_at(".figure(), .to_frame(), .pairs")
    def __repr__(self) -> str:
        parts = [f"{name}: {pair.loss('thinking', 'base').value:.2f} nats a token" for name, pair in self.pairs.items()]
        return f"LikelihoodResult({'; '.join(parts)})"

    def _repr_html_(self) -> str:
        """Show what is read of each pair in words; `figures()` draws it, `report()` is the whole page."""
        items = [
            f"<li>{escape(name)}. {escape(sentence)}</li>"
            for name, pair in self.pairs.items()
            for sentence in in_words(pair)
        ]
        return f"<p>{escape(TITLE)}</p><ul>{''.join(items)}</ul>"


def _row(pair: str, figure: str, what: str, interval: Interval) -> dict[str, Any]:
    return {
        "pair": pair,
        "figure": figure,
        "of": what,
        "value": interval.value,
        "low": interval.low,
        "high": interval.high,
        "n": interval.n,
    }
