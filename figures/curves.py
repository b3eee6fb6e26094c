"""Draw AUROC by layer, a panel a behaviour: all spans, those without tell-tale words, control, strongest baseline."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from ._grid import in_order
from ._panels import line_with_band, panels
from .palette import (
    CONTROL,
    INK,
    SECOND,
    SIGNAL,
    THIRD,
    styled,
)

COLUMNS = {
    "behaviour": str,
    "n": float,
    "n_unmarked": float,
    "series": str,
    "layer": float,
    "value": float,
    "low": float,
    "high": float,
}

# Names of the series, as the legend shows them.
SHUFFLED, UNMARKED, ALL_SPANS = "shuffled labels (control)", "spans without tell-tale words", "all spans"
CHOSEN, STRONGEST = "layer chosen on inner folds", "strongest baseline, no model"
STYLES = {
    SHUFFLED: (CONTROL, "solid"),
    UNMARKED: (SECOND, "dash"),
    ALL_SPANS: (SIGNAL, "solid"),
    CHOSEN: (SIGNAL, "dot"),
    STRONGEST: (THIRD, "dashdot"),
}
OTHER = (INK, "solid")


def layer_curves(table: pd.DataFrame, *, title: str, caption: str) -> go.Figure:
    """Draw one panel for each behaviour: each series by layer with its band, and the chance line.

    Args:
        table: `behaviour` (its panel), `n` and `n_unmarked` (its spans, and those without tell-tale words, for the
            panel's title), `series` (its line, as the legend names it), `layer` (NaN: a figure that has no layer,
            drawn as a level line), `value` with its interval `low` to `high`.
        title: Title of the figure.
        caption: What stands under it.
    """
    layers = sorted(table["layer"].dropna().unique().tolist())
    if not layers:
        raise ValueError("no row has a layer, so there is nothing to draw a level line across")
    laid_out = panels(
        table,
        lambda name, panel: f"{name} (n = {panel['n'].iloc[0]:.0f}, {panel['n_unmarked'].iloc[0]:.0f} unmarked)",
        gap=0.24,
    )
    figure, n_rows = laid_out.figure, laid_out.n_rows
    in_legend: set[str] = set()
    for row, column, panel in laid_out:
        for name in in_order(panel["series"]):
            for rows in _by_layer_and_level(panel[panel["series"] == name]):
                for trace in _traces(rows, name, layers, shown=name not in in_legend):
                    figure.add_trace(trace, row=row, col=column)
                in_legend.add(name)
        figure.add_hline(0.5, row=row, col=column, line={"color": INK, "width": 1, "dash": "dot"})
    figure.update_yaxes(range=[0.35, 1.02])
    figure.update_yaxes(title="AUROC", col=1)
    figure.update_xaxes(title="layer", row=n_rows)
    if len(layers) <= 12:
        figure.update_xaxes(dtick=1 if len(layers) <= 6 else 2)
    figure = styled(figure, title, caption, 130 + 220 * n_rows)
    figure.update_layout(legend={"orientation": "h", "y": -0.14 - 0.1 / n_rows, "x": 0}, margin={"t": 120, "b": 90})
    return figure


def _by_layer_and_level(rows: pd.DataFrame) -> list[pd.DataFrame]:
    parts = [rows[rows["layer"].notna()], *(rows.loc[[index]] for index in rows.index[rows["layer"].isna()])]
    return [part for part in parts if len(part)]


def _traces(rows: pd.DataFrame, name: str, layers: list[float], shown: bool) -> list[go.Scatter]:
    colour, dash = STYLES.get(name, OTHER)
    if rows["layer"].isna().all():
        value, least, greatest = (float(rows[column].iloc[0]) for column in ("value", "low", "high"))
        return [
            go.Scatter(
                x=[layers[0], layers[-1]],
                y=[value, value],
                name=name,
                legendgroup=name,
                showlegend=shown,
                mode="lines",
                line={"color": colour, "width": 1.5, "dash": dash},
                hovertemplate=f"%{{y:.3f}} [{least:.3f}, {greatest:.3f}]<extra>{name}</extra>",
            )
        ]
    return line_with_band(rows, name, colour, dash, shown=shown, mode="lines+markers", marker_size=4)
