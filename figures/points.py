"""Draw values with intervals as points: a line for each name, a colour for each series, a panel for each group."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ._grid import in_order
from .palette import CONTROL, FOURTH, SECOND, SIGNAL, THIRD, styled

COLUMNS = {"panel": str, "name": str, "series": str, "value": float, "low": float, "high": float}
MARKS = (
    (SIGNAL, "circle"),
    (SECOND, "diamond"),
    (THIRD, "square"),
    (FOURTH, "cross"),
    (CONTROL, "x"),
)


def interval_points(table: pd.DataFrame, *, title: str, caption: str, axis: str) -> go.Figure:
    """Draw a panel for each group, with a line for each name and a point with its interval for each series.

    Args:
        table: `panel`, `name` (a line), `series` (a colour, as the legend names it), `value` with its interval `low`
            to `high` (NaN: none).
        title: Title of the figure.
        caption: What stands under it.
        axis: What the values are, with their unit.
    """
    panels, all_series = in_order(table["panel"]), in_order(table["series"])
    n_lines = [table[table["panel"] == panel]["name"].nunique() for panel in panels]
    figure = make_subplots(
        rows=len(panels),
        cols=1,
        shared_xaxes=True,
        vertical_spacing=min(0.12, 0.5 / len(panels)),
        row_heights=n_lines,
        subplot_titles=panels,
    )
    for row, panel in enumerate(panels, start=1):
        points = table[table["panel"] == panel]
        names = in_order(points["name"])
        places = {name: len(names) - 1 - number for number, name in enumerate(names)}
        for number, series in enumerate(all_series):
            own = points[(points["series"] == series) & points["value"].notna()]
            if own.empty:
                continue
            colour, symbol = MARKS[number % len(MARKS)]
            offset = 0.5 * ((len(all_series) - 1) / 2 - number) / max(1, len(all_series))
            figure.add_trace(
                go.Scatter(
                    x=own["value"].tolist(),
                    y=[places[name] + offset for name in own["name"]],
                    mode="markers",
                    name=series,
                    legendgroup=series,
                    showlegend=bool((points.index == table[table["series"] == series].index[0]).any()),
                    marker={"color": colour, "symbol": symbol, "size": 8},
                    error_x={
                        "type": "data",
                        "symmetric": False,
                        "array": (own["high"] - own["value"]).tolist(),
                        "arrayminus": (own["value"] - own["low"]).tolist(),
                        "color": colour,
                        "thickness": 1.5,
                    },
                    customdata=own[["name", "low", "high"]].to_numpy().tolist(),
                    hovertemplate="%{customdata[0]}: %{x:.3f} [%{customdata[1]:.3f}, %{customdata[2]:.3f}]<extra>"
                    + series
                    + "</extra>",
                ),
                row=row,
                col=1,
            )
        figure.update_yaxes(
            tickvals=list(places.values()),
            ticktext=list(places),
            range=[-0.6, len(names) - 0.4],
            showgrid=False,
            row=row,
            col=1,
        )
    figure.update_xaxes(title=axis, row=len(panels), col=1)
    height = 40 * len(panels) + 34 * sum(n_lines)  # of the panels alone
    figure = styled(figure, title, caption, 210 + height)
    return figure.update_layout(
        legend={"orientation": "h", "y": -60 / height, "yanchor": "top", "x": 0}, margin={"t": 100, "b": 110}
    )
