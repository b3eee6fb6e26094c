"""The result of a geometry: directions, subspaces, probes, layers, tokens and grafts of each pair, and a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from html import escape
from math import nan
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from ...figures import FigureTable, draw_all, result_page
from ...rundir import expanded, from_row, looked_at, restoring, to_row
from ...rundir.result_files import check_format, write_result
from ...stats import Interval
from .pair_geometry import PairGeometry
from .settings import GeometrySettings
from .tables import geometry_tables

FORMAT = "reasonlens.geometry/2"
TITLE = "How alike two models are inside, and which weights differ where it matters"
LEAD = (
    "Both models read the same texts. Directions, subspaces, probes and layers of one are compared with the other's, "
    "beside what shuffled labels, random directions and permuted spans give. A graft is the base with some of the "
    "thinking model's weights; its control moves the same weights as far, at random."
)
NO_NULL = Interval(nan)


@dataclass(frozen=True, eq=False, kw_only=True)
class GeometryResult:
    """What `geometry` measured, pair by pair."""

    pairs: dict[str, PairGeometry]
    settings: GeometrySettings

    def to_frame(self) -> pd.DataFrame:
        """Tabulate one row for each figure; intervals in `_low` and `_high`, `null` is what it stands beside."""
        rows = [{"pair": name, **row} for name, pair in self.pairs.items() for part in _PARTS for row in part(pair)]
        columns = ["pair", "figure", "of", "layer", "thinking_layer"]
        numbers = ["value", "value_low", "value_high", "null", "null_low", "null_high"]
        return pd.DataFrame(rows, columns=[*columns, *numbers, "n"]).astype(dict.fromkeys(numbers, float))

    def tokens_frame(self) -> pd.DataFrame:
        """Tabulate the tokens that directions promote and lower: a row for each."""
        rows = [{"pair": name, **to_row(token)} for name, pair in self.pairs.items() for token in pair.tokens]
        columns = ["pair", "model", "behaviour", "layer", "way", "rank", "token", "score", "random_95"]
        return pd.DataFrame(rows, columns=columns)

    def tables(self) -> dict[str, FigureTable]:
        """Tabulate each figure of which anything was measured, by its name."""
        return geometry_tables(self.pairs)

    def figures(self) -> dict[str, go.Figure]:
        """Draw all figures of the report, by name."""
        return draw_all(self.tables())

    def figure(self) -> go.Figure:
        """Draw the first figure: what grafts recover, where any was measured; an empty one where there is none."""
        tables = self.tables()
        return next(iter(tables.values())).draw() if tables else go.Figure()

    def to_dict(self) -> dict[str, Any]:
        """Return what `results.json` holds; None for NaN."""
        return {
            "format": FORMAT,
            "pairs": {name: to_row(pair) for name, pair in self.pairs.items()},
            "verdicts": {
                name: verdict.to_dict() for name, pair in self.pairs.items() if (verdict := pair.verdict()) is not None
            },
            "settings": asdict(self.settings),
        }

    @classmethod
    @restoring
    def from_dict(cls, content: Mapping[str, Any]) -> GeometryResult:
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
            pairs={name: from_row(PairGeometry, pair) for name, pair in content["pairs"].items()},
            settings=from_row(GeometrySettings, content["settings"]),
        )

    def report(self) -> str:
        """Write one page that opens offline."""
        return result_page(TITLE, LEAD, self.figures(), self.to_frame(), self.in_words())

    def write(self, directory: str | Path) -> None:
        """Write results.json, table.csv, tables/ and report.html.

        Args:
            directory: Made if there is none.

        Raises:
            InputError: It cannot be written.
        """
        write_result(expanded(directory), self, self.report())

    def in_words(self) -> list[str]:
        """Say of each pair what was measured, and what follows for grafts by the rules of docs/geometry.md."""
        return [f"{name}. {sentence}" for name, pair in self.pairs.items() for sentence in pair.in_words()]

    @looked_at(".figure(), .to_frame(), .tokens_frame(), .in_words()")
    def __repr__(self) -> str:
        verdicts = {name: pair.verdict() for name, pair in self.pairs.items()}
        parts = [name if verdict is None else f"{name}: {verdict.headline}" for name, verdict in verdicts.items()]
        return f"GeometryResult({'; '.join(parts)})"

    def _repr_html_(self) -> str:
        """Show what was measured in words; `figures()` draws it, `report()` is the whole page."""
        items = "".join(f"<li>{escape(sentence)}</li>" for sentence in self.in_words())
        return f"<p>{escape(TITLE)}</p><ul>{items}</ul>"


def _row(
    figure: str, of: str, layers: tuple[float, float], value: Interval, null: Interval = NO_NULL
) -> dict[str, Any]:
    places = {"layer": layers[0], "thinking_layer": layers[1]}
    return {"figure": figure, "of": of, **places, **value.columns("value"), **null.columns("null"), "n": value.n}


def _cosines(pair: PairGeometry) -> Iterator[dict[str, Any]]:
    for one in pair.cosines:
        layers = one.layer, one.thinking_layer
        yield _row("cosine; null: shuffled labels", one.behaviour, layers, one.cosine, one.shuffled)
        yield _row("cosine; null: random directions", one.behaviour, layers, one.cosine, one.random)


def _overlaps(pair: PairGeometry) -> Iterator[dict[str, Any]]:
    for one in pair.overlaps:
        layers, of = (one.layer, one.thinking_layer), f"{one.n_dimensions} dimensions"
        yield _row("overlap; null: shuffled labels", of, layers, one.overlap, one.shuffled)
        yield _row("overlap; null: random subspaces", of, layers, one.overlap, one.random)
        for number, angle in enumerate(one.angles, start=1):
            yield _row("principal angle, degrees", f"angle {number}", layers, Interval(angle, n=one.overlap.n))


def _transfers(pair: PairGeometry) -> Iterator[dict[str, Any]]:
    for one in pair.transfers:
        of = f"{one.behaviour}, {one.trained_on} to {one.tested_on}"
        layers = one.layer, one.layer
        yield _row("AUROC of carried probe; null: shuffled labels", of, layers, one.auroc, one.shuffled)
        yield _row(f"AUROC of own probe; null: baseline, {one.baseline_name}", of, layers, one.own, one.baseline)


def _similarities(pair: PairGeometry) -> Iterator[dict[str, Any]]:
    for one in pair.similarities:
        layers = one.layer, one.thinking_layer
        yield _row("debiased CKA; null: spans permuted", "spans", layers, one.cka, one.permuted)


def _tokens(pair: PairGeometry) -> Iterator[dict[str, Any]]:
    for one in pair.tokens:
        if one.rank == 1:
            others = [
                other.token
                for other in pair.tokens
                if (other.model, other.behaviour, other.layer, other.way)
                == (one.model, one.behaviour, one.layer, one.way)
            ]
            of = f"{one.behaviour} in the {one.model} model, {one.way}: {' '.join(others)}"
            null = Interval(one.random_95)
            yield _row("token score; null: random directions", of, (one.layer, one.layer), Interval(one.score), null)


def _grafts(pair: PairGeometry) -> Iterator[dict[str, Any]]:
    outside = nan, nan
    for one in () if pair.grafts is None else pair.grafts.figures:
        yield _row("accuracy; null: weights moved at random", one.name, outside, one.accuracy, one.control)
        if one.kind != "end":
            yield _row("gap recovered; null: weights moved at random", one.name, outside, one.gap, one.control_gap)
    for contrast in () if pair.grafts is None else pair.grafts.contrasts:
        yield _row("accuracy, difference", f"{contrast.first} less {contrast.second}", outside, contrast.difference)


_PARTS = (_grafts, _cosines, _overlaps, _transfers, _similarities, _tokens)
