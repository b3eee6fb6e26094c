"""Draw what is followed along a training: a small panel for each measure, all with the same axis of steps."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ._grid import in_order
from .palette import CONTROL, FOURTH, INK, SECOND, SIGNAL, THIRD, faint, styled

COLUMNS = {"panel": str, "series": str, "mark": str, "step": float, "value": float, "low": float, "high": float}
LINE, LEVEL, BAND = "line", "level", "band"
COLOURS = (SIGNAL, SECOND, THIRD, FOURTH, CONTROL, INK)
DASHES = ("solid", "dash", "dot", "dashdot")
N_COLUMNS = 3


def step_panels(table: pd.DataFrame, *, title: str, caption: str, axis: str) -> go.Figure:
    """Draw a panel for each measure: its lines with intervals, levels of controls across, and changes as bands.

    Args:
        table: `panel` (the measure), `series` (the line, level or change), `mark` (`line`: a value at a `step`, with
            its interval `low` to `high`, NaN: none; `level`: a `value` across the panel; `band`: a change at the step
            `value`, somewhere from `low` to `high`).
        title: Title of the figure.
        caption: What stands under it.
        axis: What the steps are.
    """
    names = in_order(table["panel"])
    n_columns = min(N_COLUMNS, len(names))
    n_rows = -(-len(names) // n_columns)
    figure = make_subplots(
        rows=n_rows,
        cols=n_columns,
        shared_xaxes="all",
        horizontal_spacing=0.08,
        vertical_spacing=0.3 / n_rows,
        subplot_titles=names,
    )
    figure.update_annotations(font_size=12)
    styles = _styles(table)
    in_legend: set[str] = set()
    for place, name in enumerate(names):
        position = {"row": place // n_columns + 1, "col": place % n_columns + 1}
        panel = table[table["panel"] == name]
        for series in in_order(panel[panel["mark"] == LINE]["series"]):
            rows = panel[(panel["mark"] == LINE) & (panel["series"] == series)].sort_values("step", kind="stable")
            for trace in _line(rows, series, *styles[series], shown=series not in (*in_legend, name)):
                figure.add_trace(trace, **position)
            in_legend.add(series)
        steps = table[table["mark"] == LINE]["step"]
        for row in panel[panel["mark"] == LEVEL].to_dict("records"):
            figure.add_trace(_level(row, float(steps.min()), float(steps.max())), **position)
        for row in panel[panel["mark"] == BAND].to_dict("records"):  # after the lines: an empty panel takes no shade
            colour = styles[row["series"]][0] if row["series"] in styles and row["series"] != name else INK
            shade = {"fillcolor": faint(colour, 0.12), "line_width": 0, "layer": "below"}
            figure.add_vrect(row["low"], row["high"], **shade, **position)
            figure.add_trace(_change(row, panel, colour), **position)
    last = len(names) - (n_rows - 1) * n_columns
    figure.update_xaxes(showticklabels=True)
    for column in range(1, n_columns + 1):
        figure.update_xaxes(
            title={"text": axis, "font": {"size": 12}}, row=n_rows if column <= last else n_rows - 1, col=column
        )
    styled(figure, title, caption, 190 + 210 * n_rows)
    legend = {"orientation": "h", "y": -70 / (210 * n_rows), "yanchor": "top", "x": 0}
    figure.update_layout(legend=legend, margin={"t": 130, "b": 110})
    return figure


def _styles(table: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Give each series a colour by its place in the first panel that has it, and a dash by which panel that is."""
    styles: dict[str, tuple[str, str]] = {}
    lines = table[table["mark"] == LINE]
    n_panels = 0
    for panel in in_order(lines["panel"]):
        new = [name for name in in_order(lines[lines["panel"] == panel]["series"]) if name not in styles]
        dash = DASHES[n_panels % len(DASHES)] if new != [panel] else DASHES[0]
        styles |= {name: (COLOURS[number % len(COLOURS)], dash) for number, name in enumerate(new)}
        n_panels += bool(new) and new != [panel]
    return styles


def _line(rows: pd.DataFrame, name: str, colour: str, dash: str, *, shown: bool) -> list[go.Scatter]:
    steps, known = rows["step"].tolist(), rows[rows["low"].notna() & rows["high"].notna()]
    line = go.Scatter(
        x=steps,
        y=rows["value"].tolist(),
        name=name,
        legendgroup=name,
        showlegend=shown,
        mode="lines+markers",
        line={"color": colour, "width": 2, "dash": dash},
        marker={"size": 4},
        customdata=rows[["low", "high"]].to_numpy().tolist(),
        hovertemplate="%{x}: %{y:.3f} [%{customdata[0]:.3f}, %{customdata[1]:.3f}]<extra>" + name + "</extra>",
    )
    if known.empty:
        return [line]
    around = go.Scatter(
        x=[*known["step"], *reversed(known["step"].tolist())],
        y=[*known["high"], *reversed(known["low"].tolist())],
        fill="toself",
        fillcolor=faint(colour, 0.15),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        legendgroup=name,
        showlegend=False,
    )
    return [around, line]


def _level(row: dict[Hashable, Any], first: float, last: float) -> go.Scatter:
    return go.Scatter(
        x=[first, last],
        y=[row["value"]] * 2,
        name=str(row["series"]),
        showlegend=False,
        mode="lines+text",
        text=["", str(row["series"])],
        textposition="bottom left",
        cliponaxis=False,
        textfont={"size": 10, "color": INK},
        line={"color": INK, "width": 1, "dash": "dot"},
        hovertemplate=f"%{{y:.3f}}<extra>{row['series']}</extra>",
    )


def _change(row: dict[Hashable, Any], panel: pd.DataFrame, colour: str) -> go.Scatter:
    """Mark where a change fits best, over the height of the panel."""
    heights = panel[panel["mark"] != BAND][["value", "low", "high"]].to_numpy()
    ends = [float(np.nanmin(heights)), float(np.nanmax(heights))] if np.isfinite(heights).any() else [0.0, 1.0]
    return go.Scatter(
        x=[row["value"]] * 2,
        y=ends,
        name=str(row["series"]),
        showlegend=False,
        mode="lines",
        line={"color": colour, "width": 1.5, "dash": "dash"},
        hovertemplate=f"change at %{{x}}, in {row['low']:g} to {row['high']:g}<extra>{row['series']}</extra>",
    )
