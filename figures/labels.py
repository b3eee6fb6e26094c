"""Draw points with intervals on lines: how often each label is given, or how far annotators agree."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from ._grid import in_order
from .palette import CONTROL, FOURTH, INK, SECOND, SIGNAL, THIRD, styled

COLUMNS = {"line": str, "series": str, "value": float, "low": float, "high": float}
MARKS = (
    *((SIGNAL, "circle"), (SECOND, "diamond"), (THIRD, "square"), (FOURTH, "triangle-up"), (CONTROL, "x")),
    (INK, "cross"),
)


def label_points(table: pd.DataFrame, *, title: str, caption: str, axis: str) -> go.Figure:
    """Draw a line for each label or behaviour, and on it a point with its interval for each series.

    Args:
        table: One row for each line and series: `line`, `series`, `value` (NaN: no point) with its interval `low` to
            `high` (NaN: none).
        title: Title of the figure.
        caption: What stands under it.
        axis: What the values are.
    """
    lines, series = in_order(table["line"]), in_order(table["series"])
    places = {line: len(lines) - 1 - number for number, line in enumerate(lines)}
    figure = go.Figure()
    for number, name in enumerate(series):
        points = table[(table["series"] == name) & table["value"].notna()]
        colour, symbol = MARKS[number % len(MARKS)]
        offset = min(0.24, 0.8 / len(series)) * ((len(series) - 1) / 2 - number)
        figure.add_trace(
            go.Scatter(
                x=points["value"].tolist(),
                y=[places[line] + offset for line in points["line"]],
                mode="markers",
                name=name,
                marker={"color": colour, "symbol": symbol, "size": 8},
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": (points["high"] - points["value"]).fillna(0).tolist(),
                    "arrayminus": (points["value"] - points["low"]).fillna(0).tolist(),
                    "color": colour,
                    "thickness": 1.5,
                },
                customdata=points["line"].tolist(),
                hovertemplate="%{customdata}: %{x:.3f}<extra>" + name + "</extra>",
            )
        )
    figure.add_vline(0, line={"color": INK, "width": 1, "dash": "dot"})
    figure.update_yaxes(
        tickvals=list(places.values()), ticktext=list(places), range=[-0.6, len(lines) - 0.4], showgrid=False
    )
    figure.update_xaxes(title=axis)
    figure = styled(figure, title, caption, 220 + (24 + 12 * len(series)) * len(lines))
    figure.update_layout(
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"}, margin={"t": 120}, showlegend=True
    )
    return figure
