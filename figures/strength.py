"""Draw what a direction does by strength: behaviour, divergence on neutral text and accuracy, beside the controls."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ._grid import in_order
from .palette import (
    CONTROL,
    INK,
    SECOND,
    SIGNAL,
    faint,
    styled,
)

COLUMNS = {
    "behaviour": str,
    "layer": float,
    "measure": str,
    "series": str,
    "strength": float,
    "value": float,
    "low": float,
    "high": float,
}

# Names of the series, as the legend shows them.
DIRECTION, TOKEN, RANDOM = "direction", "unembedding of the tell-tale word", "random directions"
STYLES = {DIRECTION: (SIGNAL, "solid"), TOKEN: (SECOND, "dash")}
OTHER = (INK, "dashdot")


def strength_figure(table: pd.DataFrame, *, title: str, caption: str) -> go.Figure:
    """Draw a column for each behaviour and a row for each measure: each series by strength, with error bars.

    Args:
        table: `behaviour` and `layer` (a column of panels, and what its title says), `measure` (a row of panels, and
            the title of its axis), `series` (a line, as the legend names it; random directions are drawn as their mean
            and range), `strength` (in mean residual norms), `value` with the bar `low` to `high`.
        title: Title of the figure.
        caption: What stands under it.
    """
    behaviours, measures = in_order(table["behaviour"]), in_order(table["measure"])
    layers = table.groupby("behaviour", sort=False)["layer"].first()
    figure = make_subplots(
        rows=len(measures),
        cols=len(behaviours),
        shared_xaxes=True,
        horizontal_spacing=0.25 / (len(behaviours) + 3),
        vertical_spacing=0.07,
        column_titles=[f"{behaviour}<br>layer {layers[behaviour]}" for behaviour in behaviours],
    )
    in_legend: set[str] = set()
    for row, measure in enumerate(measures, start=1):
        for column, behaviour in enumerate(behaviours, start=1):
            panel = table[(table["measure"] == measure) & (table["behaviour"] == behaviour)]
            for name in in_order(panel["series"]):
                points = panel[panel["series"] == name].sort_values("strength", kind="stable")
                figure.add_trace(_line(points, name, shown=name not in in_legend), row=row, col=column)
                in_legend.add(name)
        figure.update_yaxes(title=measure, row=row, col=1)
        figure.update_yaxes(rangemode="tozero", row=row)
    figure.update_xaxes(title="strength (mean residual norms)", row=len(measures))
    figure.update_annotations(font_size=12)
    figure = styled(figure, title, caption, 170 + 190 * len(measures))
    figure.update_layout(legend={"orientation": "h", "y": -0.12, "x": 0}, margin={"t": 130, "b": 90})
    return figure


def _line(points: pd.DataFrame, name: str, shown: bool) -> go.Scatter:
    colour, dash = STYLES.get(name, OTHER)
    bars = {
        "type": "data",
        "symmetric": False,
        "array": (points["high"] - points["value"]).tolist(),
        "arrayminus": (points["value"] - points["low"]).tolist(),
    }
    common = {
        "x": points["strength"].tolist(),
        "y": points["value"].tolist(),
        "name": name,
        "legendgroup": name,
        "showlegend": shown,
    }
    if name == RANDOM:
        return go.Scatter(
            **common,
            error_y=bars | {"thickness": 6, "width": 0, "color": faint(CONTROL, 0.45)},
            mode="lines",
            line={"color": INK, "width": 1.5, "dash": "dot"},
            hovertemplate="strength %{x}: mean %{y:.3f}<extra>" + name + "</extra>",
        )
    return go.Scatter(
        **common,
        error_y=bars | {"thickness": 1, "width": 3},
        mode="lines+markers",
        marker={"size": 6},
        line={"color": colour, "width": 2, "dash": dash},
        hovertemplate="strength %{x}: %{y:.3f}<extra>" + name + "</extra>",
    )
