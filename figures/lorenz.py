"""Draw Lorenz curves: which share of a total the least positions hold, beside the line of an even spread."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ._grid import in_order
from .palette import FOURTH, INK, SECOND, SIGNAL, THIRD, faint, styled

COLUMNS = {"panel": str, "series": str, "share": float, "value": float, "low": float, "high": float}
STYLES = ((SECOND, "solid"), (SIGNAL, "dash"), (THIRD, "dot"), (FOURTH, "dashdot"))


def lorenz_curves(table: pd.DataFrame, *, title: str, caption: str, axis: str) -> go.Figure:
    """Draw a panel for each group, with a curve and its band for each series.

    Args:
        table: `panel`, `series` (a curve, as the legend names it), `share` (of the positions, least first), `value`
            (share of the total that they hold; NaN: no point) with its interval `low` to `high`.
        title: Title of the figure.
        caption: What stands under it.
        axis: What is shared out.
    """
    panels, all_series = in_order(table["panel"]), in_order(table["series"])
    figure = make_subplots(rows=1, cols=len(panels), shared_yaxes=True, horizontal_spacing=0.05, subplot_titles=panels)
    shown = set[str]()
    for column, panel in enumerate(panels, start=1):
        points = table[table["panel"] == panel]
        even = {"x0": 0, "y0": 0, "x1": 1, "y1": 1, "line": {"color": INK, "width": 1, "dash": "dot"}}
        figure.add_shape(type="line", row=1, col=column, **even)
        for number, series in enumerate(all_series):
            own = points[(points["series"] == series) & points["value"].notna()].sort_values("share", kind="stable")
            if own.empty:
                continue
            colour, dash = STYLES[number % len(STYLES)]
            banded = own[own["low"].notna() & own["high"].notna()]
            across = banded["share"].tolist()
            figure.add_trace(
                go.Scatter(
                    x=[*across, *reversed(across)],
                    y=[*banded["high"], *reversed(banded["low"].tolist())],
                    fill="toself",
                    fillcolor=faint(colour),
                    line={"width": 0},
                    mode="lines",
                    hoverinfo="skip",
                    legendgroup=series,
                    showlegend=False,
                ),
                row=1,
                col=column,
            )
            figure.add_trace(
                go.Scatter(
                    x=own["share"].tolist(),
                    y=own["value"].tolist(),
                    name=series,
                    legendgroup=series,
                    showlegend=series not in shown,
                    mode="lines",
                    line={"color": colour, "width": 2, "dash": dash},
                    customdata=own[["low", "high"]].to_numpy().tolist(),
                    hovertemplate="the least %{x:.1%} hold %{y:.3f} [%{customdata[0]:.3f}, %{customdata[1]:.3f}]<extra>"
                    + series
                    + "</extra>",
                ),
                row=1,
                col=column,
            )
            shown.add(series)
    figure.update_xaxes(title="share of the positions, least first", range=[0, 1.01])
    figure.update_yaxes(title=axis, row=1, col=1)
    figure.update_yaxes(range=[0, 1.01])
    figure = styled(figure, title, caption, 460)
    return figure.update_layout(
        legend={"orientation": "h", "y": -0.2, "yanchor": "top", "x": 0}, margin={"t": 110, "b": 110}
    )
