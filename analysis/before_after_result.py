"""Hold how directions and probes change when unstable boundaries are left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from ..figures import FigureTable, draw_all, result_page
from ..figures.before_after import AFTER, BEFORE, RANDOM
from ..rundir import InputError, looked_at, restoring
from ..rundir.result_files import check_format, write_result
from ..vectors import Directions

FORMAT = "reasonlens.before-after/1"
BEFORE_VECTORS, AFTER_VECTORS = "before.safetensors", "after.safetensors"
LEAD = (
    "Directions and probes of the spans whose boundaries are stable, beside those of all sampled spans and of as many "
    "spans drawn at random."
)
TITLE = "Directions and probes before and after unstable boundaries are left out"
AUROC, COSINE = "AUROC on stable spans", "cosine to the direction of all spans"
# Measure -> series -> its columns.
SERIES: dict[str, dict[str, str]] = {
    AUROC: {RANDOM: "auroc_random", BEFORE: "auroc_before", AFTER: "auroc_after"},
    COSINE: {RANDOM: "cosine_random", AFTER: "cosine"},
}


@dataclass(frozen=True, eq=False, kw_only=True)
class BeforeAfter:
    """The result of `compare_before_after`."""

    rows: tuple[dict[str, Any], ...]  # rows of `to_frame`
    notes: dict[str, str]  # behaviour -> why it has no figures, for those that lack some
    directions: tuple[Directions, Directions] | None  # None where the result was read back from JSON

    @property
    def before(self) -> Directions:
        """Directions of all sampled spans. Raises InputError if the result was read back from JSON."""
        return self._directions()[0]

    @property
    def after(self) -> Directions:
        """Directions of the stable spans; a behaviour without any is missing. Raises InputError as `before`."""
        return self._directions()[1]

    def to_frame(self) -> pd.DataFrame:
        """Tabulate one row for each sampled behaviour and layer.

        Columns:
            n_before, n_after: Number of spans.
            n_problems_before, n_problems_after: Number of problems that the spans are from.
            norm_before, norm_after: Norms of the mean differences, in units of the residual stream.
            cosine: Between the mean differences before and after.
            cosine_random: Between the mean difference before and that of as many random spans: mean, lowest (`_low`)
                and highest (`_high`) of the draws.
            auroc_before: Probe trained on all spans, tested on stable ones.
            auroc_after: Probe trained on stable spans, tested on stable ones.
            auroc_gain: auroc_after minus auroc_before.
            auroc_before_on_all, auroc_after_on_all: The same two probes, tested on all spans.
            auroc_random: Probe trained on as many random spans, tested on stable ones: mean, lowest and highest.
            note: Why figures are NaN, where too few spans are stable.

        AUROCs have 95% intervals over resampled problems in `_low` and `_high`, except auroc_random.
        """
        return pd.DataFrame(self.rows)

    def tables(self) -> dict[str, FigureTable]:
        """Tabulate AUROC and cosine by layer, before and after, beside the random draws."""
        rows = [
            {
                "behaviour": row["behaviour"],
                "measure": measure,
                "series": series,
                "layer": row["layer"],
                "value": row[column],
                "low": row.get(f"{column}_low", row[column]),
                "high": row.get(f"{column}_high", row[column]),
            }
            for measure, columns in SERIES.items()
            for row in self.rows
            for series, column in columns.items()
        ]
        caption = "95% intervals over problems; random spans: mean and range of the draws"
        options = {"title": TITLE, "caption": caption}
        return {"before_after": FigureTable(figure="before_after_curves", rows=pd.DataFrame(rows), options=options)}

    def figures(self) -> dict[str, go.Figure]:
        """Draw every figure by its name."""
        return draw_all(self.tables())

    def figure(self) -> go.Figure:
        """Draw AUROC and cosine by layer, before and after."""
        return self.tables()["before_after"].draw()

    def to_dict(self) -> dict[str, Any]:
        """Convert to the plain values of results.json: rows and notes, None for NaN."""
        rows = [
            {name: None if isinstance(value, float) and value != value else value for name, value in row.items()}
            for row in self.rows
        ]
        return {"format": FORMAT, "rows": rows, "notes": self.notes}

    @classmethod
    @restoring
    def from_dict(cls, content: Mapping[str, Any]) -> BeforeAfter:
        """Build a result from plain values: the inverse of `to_dict`.

        Args:
            content: What `to_dict` returned, or the same as read from results.json.

        Returns:
            The result, without directions.

        Raises:
            InputError: The format is another.
        """
        check_format(content, FORMAT)
        rows = [
            {name: float("nan") if value is None else value for name, value in row.items()} for row in content["rows"]
        ]
        return cls(rows=tuple(rows), notes=dict(content["notes"]), directions=None)

    def report(self) -> str:
        """Write one self-contained HTML page."""
        return result_page(TITLE, LEAD, self.figures(), self.to_frame(), self.in_words())

    def write(self, directory: str | Path) -> None:
        """Write results.json, table.csv, tables/, report.html, and the directions before and after if it holds them.

        Args:
            directory: Created if it does not exist; files of these names are replaced.

        Raises:
            InputError: A file cannot be written.
        """
        if self.directions is not None:
            for name, directions in zip((BEFORE_VECTORS, AFTER_VECTORS), self.directions, strict=True):
                if directions.behaviours:
                    directions.save(Path(directory) / name)
        write_result(directory, self, self.report())

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False, na_rep="–", float_format="{:.3f}".format)

    @looked_at(".figure(), .to_frame()")
    def __repr__(self) -> str:
        behaviours = dict.fromkeys(row["behaviour"] for row in self.rows)
        probed = [name for name in behaviours if name not in self.notes]
        return f"BeforeAfter({len(behaviours)} behaviours, {len(probed)} with probes before and after)"

    def in_words(self) -> list[str]:
        """Say of each behaviour how far its direction turns at most, beside as many random spans, and what is noted."""
        sentences = []
        for behaviour, rows in self.to_frame().groupby("behaviour", sort=False):
            for row in rows.dropna(subset="cosine").nsmallest(1, "cosine").to_dict("records"):
                random = row["cosine_random"]
                beside = "" if isnan(random) else f"; as many random spans {random:.3f}"
                sentences.append(
                    f"{behaviour}: without unstable boundaries the direction has a cosine of {row['cosine']:.3f} to "
                    f"the one of all spans where it turns most (layer {row['layer']}){beside}."
                )
        return [*sentences, *(f"{name}: {note}." for name, note in self.notes.items())]

    def _directions(self) -> tuple[Directions, Directions]:
        if self.directions is None:
            raise InputError(
                f"this result was read back from JSON, which holds no directions; open {BEFORE_VECTORS} or "
                f"{AFTER_VECTORS} beside it with Directions.open"
            )
        return self.directions
