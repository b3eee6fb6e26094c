"""Draw shares of a gap, pair by pair: what is *when*, what a control reads, and the truth where it is known."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from ._grid import in_order
from .palette import CONTROL, FOURTH, INK, SECOND, SIGNAL, THIRD, styled

COLUMNS = {"pair": str, "reading": str, "share": float, "low": float, "high": float}
MARKS = (
    (SIGNAL, "circle"),
    (CONTROL, "x"),
    (SECOND, "diamond"),
    (THIRD, "square"),
    (FOURTH, "triangle-up"),
    (INK, "cross"),
)
TRUTH = "truth"


def share_points(table: pd.DataFrame, *, title: str, caption: str) -> go.Figure:
    """Draw a line for each pair, and a point with its interval for each reading of it.

    Args:
        table: One row for each pair and reading: `pair`, `reading` ("truth" is drawn as a bar across the line),
            `share` (NaN: no point) with its interval `low` to `high`.
        title: Title of the figure.
        caption: What stands under it.
    """
    pairs, readings = in_order(table["pair"]), in_order(table["reading"])
    places = {pair: len(pairs) - 1 - number for number, pair in enumerate(pairs)}
    others = [reading for reading in readings if reading != TRUTH]
    figure = go.Figure()
    for number, reading in enumerate(others):
        points = table[(table["reading"] == reading) & table["share"].notna()]
        colour, symbol = MARKS[number % len(MARKS)]
        offset = min(0.24, 0.8 / max(1, len(others))) * ((len(others) - 1) / 2 - number)
        figure.add_trace(
            go.Scatter(
                x=points["share"].tolist(),
                y=[places[pair] + offset for pair in points["pair"]],
                mode="markers",
                name=reading,
                marker={"color": colour, "symbol": symbol, "size": 9},
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": (points["high"] - points["share"]).tolist(),
                    "arrayminus": (points["share"] - points["low"]).tolist(),
                    "color": colour,
                    "thickness": 1.5,
                },
                customdata=points["pair"].tolist(),
                hovertemplate="%{customdata}: %{x:.3f}<extra>" + reading + "</extra>",
            )
        )
    truth = table[(table["reading"] == TRUTH) & table["share"].notna()]
    if not truth.empty:
        figure.add_trace(
            go.Scatter(
                x=truth["share"].tolist(),
                y=[places[pair] for pair in truth["pair"]],
                mode="markers",
                name=TRUTH,
                marker={"color": INK, "symbol": "line-ns", "size": 34, "line": {"color": INK, "width": 3}},
                customdata=truth["pair"].tolist(),
                hovertemplate="%{customdata}: %{x:.3f}<extra>truth</extra>",
            )
        )
    for end in (0, 1):
        figure.add_vline(end, line={"color": INK, "width": 1, "dash": "dot"})
    figure.update_yaxes(
        tickvals=list(places.values()), ticktext=list(places), range=[-0.6, len(pairs) - 0.4], showgrid=False
    )
    figure.update_xaxes(title="share of the gap that is when")
    figure = styled(figure, title, caption, 220 + 42 * len(pairs))
    figure.update_layout(legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"}, margin={"t": 120})
    return figure
