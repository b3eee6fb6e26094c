"""Lay out small panels, one a behaviour, four beside each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ._grid import in_order
from .palette import faint

N_COLUMNS = 4


@dataclass(frozen=True)
class Panels:
    """A figure of empty panels that share their axes, each with the rows of its behaviour."""

    figure: go.Figure
    tables: list[pd.DataFrame]  # one a panel, in the order of the whole table
    n_rows: int

    def __iter__(self) -> Iterator[tuple[int, int, pd.DataFrame]]:
        """Walk through the panels: row and column of the figure, from 1, and the panel's table."""
        n_columns = min(N_COLUMNS, len(self.tables))
        for place, table in enumerate(self.tables):
            yield place // n_columns + 1, place % n_columns + 1, table


def panels(table: pd.DataFrame, title: Callable[[str, pd.DataFrame], str], *, gap: float) -> Panels:
    """Lay out a panel for each behaviour of a table.

    Args:
        table: `behaviour` names the panel of each row.
        title: Title of a panel, from its behaviour and its rows.
        gap: Height between two rows of panels, as a share of the height of one.
    """
    behaviours = in_order(table["behaviour"])
    tables = [table[table["behaviour"] == behaviour] for behaviour in behaviours]
    n_columns = min(N_COLUMNS, len(behaviours))
    n_rows = -(-len(behaviours) // n_columns)
    figure = make_subplots(
        rows=n_rows,
        cols=n_columns,
        shared_xaxes=True,
        shared_yaxes=True,
        horizontal_spacing=0.02,
        vertical_spacing=gap / n_rows,
        subplot_titles=[title(behaviour, rows) for behaviour, rows in zip(behaviours, tables, strict=True)],
    )
    figure.update_annotations(font_size=12)
    return Panels(figure, tables, n_rows)


def line_with_band(
    rows: pd.DataFrame, name: str, colour: str, dash: str, *, shown: bool, mode: str, marker_size: float | None = None
) -> list[go.Scatter]:
    """Draw a series by layer and the band of its intervals.

    Args:
        rows: `layer`, `value`, and the interval `low` to `high`.
        name: The series, as the legend names it.
        colour: Of the line; the band is a faint one.
        dash: Of the line, in plotly's words.
        shown: Whether the legend shows it.
        mode: "lines" or "lines+markers".
        marker_size: Of the markers, in pixels; None leaves it to plotly.
    """
    layers, low, high = (rows[column].tolist() for column in ("layer", "low", "high"))
    band = go.Scatter(
        x=[*layers, *reversed(layers)],
        y=[*high, *reversed(low)],
        fill="toself",
        fillcolor=faint(colour),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        legendgroup=name,
        showlegend=False,
    )
    line = go.Scatter(
        x=layers,
        y=rows["value"].tolist(),
        name=name,
        legendgroup=name,
        showlegend=shown,
        line={"color": colour, "width": 2, "dash": dash},
        mode=mode,
        marker=None if marker_size is None else {"size": marker_size},
        customdata=rows[["low", "high"]].to_numpy().tolist(),
        hovertemplate="layer %{x}: %{y:.3f} [%{customdata[0]:.3f}, %{customdata[1]:.3f}]<extra>" + name + "</extra>",
    )
    return [band, line]
