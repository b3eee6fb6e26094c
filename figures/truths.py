"""Draw what was read against what is true, with intervals both ways; on the diagonal a reading is right."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from ._grid import in_order
from .palette import INK, styled
from .shares import MARKS

COLUMNS = {
    "pair": str,
    "reading": str,
    "truth": float,
    "truth_low": float,
    "truth_high": float,
    "share": float,
    "low": float,
    "high": float,
}


def truth_points(table: pd.DataFrame, *, title: str, caption: str) -> go.Figure:
    """Draw a point for each pair and reading; hollow where the interval of the reading does not hold the truth.

    The first reading stands on top, and the intervals of the truth are drawn with it.

    Args:
        table: One row for each pair and reading: `pair`, `reading`, `truth` with its interval `truth_low` to
            `truth_high`, and what was read, `share` (NaN: no point), with `low` to `high` (NaN: no interval).
        title: Title of the figure.
        caption: What stands under it.
    """
    figure = go.Figure()
    points_read = table[table["share"].notna() & table["truth"].notna()]
    for number, reading in reversed(list(enumerate(in_order(table["reading"])))):  # the first one on top
        colour, symbol = MARKS[number % len(MARKS)]
        rows = points_read[points_read["reading"] == reading]
        misses = (rows["low"] > rows["truth"]) | (rows["truth"] > rows["high"])
        for points, form, name in (
            (rows[~misses], symbol, reading),
            (rows[misses], f"{symbol}-open", f"{reading}: misses the truth"),
        ):
            if points.empty:
                continue
            trace = go.Scatter(
                x=points["truth"].tolist(),
                y=points["share"].tolist(),
                mode="markers",
                name=name,
                marker={"color": colour, "symbol": form, "size": 6 if number else 9},
                error_x=_bars(
                    points["truth"], points["truth_low"], points["truth_high"], colour, is_visible=number == 0
                ),
                error_y=_bars(points["share"], points["low"], points["high"], colour),
                customdata=points["pair"].tolist(),
                hovertemplate="%{customdata}: read %{y:.3f}, true %{x:.3f}<extra>" + name + "</extra>",
            )
            figure.add_trace(trace)
    figure.add_shape(type="line", x0=0, y0=0, x1=1, y1=1, line={"color": INK, "width": 1, "dash": "dot"})
    figure.update_xaxes(title="truth: share of the gap that is when")
    figure.update_yaxes(title="reading")
    figure = styled(figure, title, caption, 620)
    figure.update_layout(legend={"traceorder": "reversed"})
    return figure


def _bars(
    value: pd.Series[float], low: pd.Series[float], high: pd.Series[float], colour: str, *, is_visible: bool = True
) -> dict[str, object]:
    return {
        "type": "data",
        "visible": is_visible,
        "symmetric": False,
        "array": (high - value).tolist(),
        "arrayminus": (value - low).tolist(),
        "color": colour,
        "thickness": 1,
        "width": 2,
    }
