"""Hold the AUROC of probes that were trained on one source of activations and tested on another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from ..figures import FigureTable, draw_all, result_page
from ..rundir import brief, looked_at, restoring
from ..rundir.result_files import check_format, write_result
from ..stats import Interval

FORMAT = "reasonlens.transfer/1"
TITLE = "Do probes carry over?"
ENDS = ("by_layer", "by_layer_low", "by_layer_high")


@dataclass(frozen=True, eq=False, kw_only=True)
class Transfer:
    """The AUROC from one source to another for one behaviour; 95% intervals over the test source's problems."""

    auroc: Interval  # layer and penalty chosen on the training source's inner folds
    by_layer: list[Interval]
    n_positive: int  # spans of the test source that show the behaviour
    n_problems: int

    __repr__ = brief


@dataclass(frozen=True, eq=False, kw_only=True)
class TransferMatrix:
    """The transfer between every two sources: `cells[trained, tested, behaviour]`."""

    cells: dict[tuple[str, str, str], Transfer]
    sources: tuple[str, ...]
    behaviours: tuple[str, ...]
    layers: tuple[int, ...]
    n_folds: int
    estimator: str

    def to_frame(self) -> pd.DataFrame:
        """Tabulate one row for each two sources and behaviour."""
        return pd.DataFrame(
            [
                {
                    "trained_on": trained,
                    "tested_on": tested,
                    "behaviour": behaviour,
                    **cell.auroc.columns("auroc"),
                    "n_positive": cell.n_positive,
                    "n_problems": cell.n_problems,
                }
                for (trained, tested, behaviour), cell in self.cells.items()
            ]
        )

    def tables(self) -> dict[str, FigureTable]:
        """Tabulate the figure, transfer."""
        caption = f"{self.estimator} probes, layer chosen on the training source, {self.n_folds} folds; 95% intervals"
        options = {"title": TITLE, "caption": caption}
        return {"transfer": FigureTable(figure="transfer_heatmap", rows=self.to_frame(), options=options)}

    def figures(self) -> dict[str, go.Figure]:
        """Draw the figure by its name."""
        return draw_all(self.tables())

    def figure(self) -> go.Figure:
        """Draw AUROC with its interval: trained on rows, tested on columns, a panel for each behaviour."""
        return self.figures()["transfer"]

    def rows(self) -> list[dict[str, Any]]:
        """Collect the rows of `to_frame` with the AUROC of every layer, as plain values; None for NaN."""
        return [
            {
                "trained_on": trained,
                "tested_on": tested,
                "behaviour": behaviour,
                **cell.auroc.json_columns("auroc"),
                "n_positive": cell.n_positive,
                "n_problems": cell.n_problems,
                **_by_layer(self.layers, cell.by_layer),
            }
            for (trained, tested, behaviour), cell in self.cells.items()
        ]

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON."""
        return {
            "format": FORMAT,
            "sources": list(self.sources),
            "behaviours": list(self.behaviours),
            "layers": list(self.layers),
            "n_folds": self.n_folds,
            "estimator": self.estimator,
            "cells": self.rows(),
        }

    @classmethod
    @restoring
    def from_dict(cls, content: Mapping[str, Any]) -> TransferMatrix:
        """Restore a matrix from what `to_dict` returned.

        Args:
            content: The dictionary.

        Returns:
            The matrix.

        Raises:
            InputError: The dictionary is of another format.
        """
        check_format(content, FORMAT)
        return cls.from_rows(content["cells"], n_folds=content["n_folds"], estimator=content["estimator"])

    @classmethod
    def from_rows(cls, rows: Sequence[Mapping[str, Any]], *, n_folds: int, estimator: str) -> TransferMatrix:
        """Restore a matrix from what `rows` returned.

        Args:
            rows: The rows.
            n_folds: The number of folds, which the rows do not hold.
            estimator: The kind of probe, which the rows do not hold.

        Returns:
            The matrix.
        """
        return cls(
            cells={
                (row["trained_on"], row["tested_on"], row["behaviour"]): Transfer(
                    auroc=Interval.from_columns(row, "auroc"),
                    by_layer=[
                        Interval.from_columns(dict(zip(ENDS, values, strict=True)), "by_layer")
                        for values in zip(*(row[name].values() for name in ENDS), strict=True)
                    ],
                    n_positive=row["n_positive"],
                    n_problems=row["n_problems"],
                )
                for row in rows
            },
            sources=tuple(dict.fromkeys(row["trained_on"] for row in rows)),
            behaviours=tuple(dict.fromkeys(row["behaviour"] for row in rows)),
            layers=tuple(int(layer) for layer in rows[0]["by_layer"]),
            n_folds=n_folds,
            estimator=estimator,
        )

    def in_words(self) -> list[str]:
        """Say of each behaviour which probe carries over worst to another source."""
        sentences = []
        for behaviour, rows in self.to_frame().groupby("behaviour", sort=False):
            across = rows[rows["trained_on"] != rows["tested_on"]].nsmallest(1, "auroc").to_dict("records")
            for row in across:
                low, high = row["auroc_low"], row["auroc_high"]
                interval = "" if isnan(low) else f" [{low:.3f}, {high:.3f}]"
                sentences.append(
                    f"{behaviour}: probes carry over worst from {row['trained_on']} to {row['tested_on']}, with AUROC "
                    f"{row['auroc']:.3f}{interval}."
                )
        return sentences or ["Nothing can be said of carrying over: there is one source."]

    def report(self) -> str:
        """Write one self-contained HTML page."""
        lead = f"{self.estimator} probes of {', '.join(self.sources)}; layer chosen on the training source."
        return result_page(TITLE, lead, self.figures(), self.to_frame(), self.in_words())

    def write(self, directory: str | Path) -> None:
        """Write results.json, table.csv, tables/transfer.json and report.html.

        Args:
            directory: Where to write them.
        """
        write_result(directory, self, self.report())

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False, na_rep="–", float_format="{:.3f}".format)

    @looked_at(".figure(), .to_frame()")
    def __repr__(self) -> str:
        across = [cell.auroc.value for (trained, tested, _), cell in self.cells.items() if trained != tested]
        return (
            f"TransferMatrix({', '.join(self.sources)}; {len(self.behaviours)} behaviours, AUROC from one source to "
            f"another {min(across):.3f} to {max(across):.3f})"
        )


def _by_layer(layers: Sequence[int], estimates: Sequence[Interval]) -> dict[str, dict[str, float | None]]:
    """List the AUROC and the ends of its interval by layer."""
    rows = [auroc.json_columns("by_layer") for auroc in estimates]
    return {name: {str(layer): row[name] for layer, row in zip(layers, rows, strict=True)} for name in ENDS}
