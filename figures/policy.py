"""Draw a policy as a graph: a circle of behaviours, and an arrow for each that follows another."""

from __future__ import annotations

from math import atan2, cos, degrees, isnan, pi, sin

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ._grid import in_order
from .palette import CONTROL, INK, SECOND, SIGNAL, faint, styled

COLUMNS = {
    "model": str,
    "before": str,
    "after": str,
    "share": float,
    "difference": float,
    "is_sure": bool,
    "rate": float,
}
LEAST = 0.05  # a smaller share is not drawn
CHANGED = 0.05  # a sure difference that is at least so large is coloured
KEY = (
    f"arrows: shares of what follows, from {LEAST:g}; blue: surely, and by {CHANGED:g} or more, above the base, "
    "orange: below"
)
N_COLUMNS = 2


def policy_graph(table: pd.DataFrame, *, title: str, caption: str) -> go.Figure:
    """Draw a graph for each model.

    Args:
        table: `model` (a panel), `before` and `after` (nodes), `share` (of what follows `before`: the width of an
            arrow), `difference` (from the base; NaN: none), `is_sure` (whether its interval is away from 0: it
            is coloured), `rate` (of `before`: the size of its node).
        title: Title of the figure.
        caption: What stands under it.
    """
    models = in_order(table["model"])
    nodes = in_order(pd.concat([table["before"], table["after"]]))
    places = {
        node: (cos(pi / 2 - 2 * pi * number / len(nodes)), sin(pi / 2 - 2 * pi * number / len(nodes)))
        for number, node in enumerate(nodes)
    }
    n_columns = min(N_COLUMNS, len(models))
    n_rows = -(-len(models) // n_columns)
    figure = make_subplots(
        rows=n_rows, cols=n_columns, subplot_titles=models, horizontal_spacing=0.08, vertical_spacing=0.4 / n_rows / 2
    )
    for number, model in enumerate(models):
        row, column = number // n_columns + 1, number % n_columns + 1
        own = table[table["model"] == model]
        for arrow in own[own["share"] >= LEAST].sort_values("share").itertuples(index=False):
            figure.add_traces(_arrow(arrow, places), rows=row, cols=column)
        rates = dict(zip(own["before"], own["rate"], strict=True))
        figure.add_trace(
            go.Scatter(
                x=[place[0] for place in places.values()],
                y=[place[1] for place in places.values()],
                mode="markers+text",
                text=list(places),
                textposition=["top center" if place[1] >= 0 else "bottom center" for place in places.values()],
                marker={
                    "size": [10 + 40 * rates.get(node, 0.0) ** 0.5 for node in nodes],
                    "color": faint(CONTROL, 0.6),
                    "line": {"color": INK, "width": 1},
                },
                hoverinfo="skip",
                showlegend=False,
                cliponaxis=False,
            ),
            row=row,
            col=column,
        )
    figure.update_xaxes(visible=False, range=[-1.6, 1.6])
    figure.update_yaxes(visible=False, range=[-1.35, 1.35])
    figure = styled(figure, title, caption, 150 + 420 * n_rows)
    return figure.update_layout(margin={"t": 130})


def _arrow(arrow: object, places: dict[str, tuple[float, float]]) -> list[go.Scatter]:
    names = ("before", "after", "share", "difference", "is_sure")
    before, after, share, difference, is_sure = (getattr(arrow, name) for name in names)
    is_changed = is_sure and abs(difference) >= CHANGED
    colour = (SIGNAL if difference > 0 else SECOND) if is_changed else CONTROL
    (x0, y0), (x1, y1) = places[before], places[after]
    if before == after:  # a loop outwards
        angles = [2 * pi * step / 24 for step in range(25)]
        xs = [x0 * 1.12 + 0.12 * cos(angle) for angle in angles]
        ys = [y0 * 1.12 + 0.12 * sin(angle) for angle in angles]
    else:  # a curve to the left of the line, so that both directions are seen
        middle = ((x0 + x1) / 2 - (y1 - y0) * 0.14, (y0 + y1) / 2 + (x1 - x0) * 0.14)
        steps = [step / 24 for step in range(25)]
        xs = [(1 - t) ** 2 * x0 + 2 * t * (1 - t) * middle[0] + t * t * x1 for t in steps]
        ys = [(1 - t) ** 2 * y0 + 2 * t * (1 - t) * middle[1] + t * t * y1 for t in steps]
    text = f"{before} → {after}: {share:.3f}" + ("" if isnan(difference) else f" ({difference:+.3f})")
    line = go.Scatter(
        x=xs,
        y=ys,
        mode="lines",
        line={"color": faint(colour, 0.35 + 0.6 * share), "width": 1 + 7 * share},
        text=[text] * len(xs),
        customdata=[share] * len(xs),
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
        cliponaxis=False,
    )
    tip = go.Scatter(
        x=[xs[18]],
        y=[ys[18]],
        mode="markers",
        marker={"symbol": "arrow", "size": 9 + 5 * share, "angle": _angle(xs, ys), "color": colour},
        text=[text],
        customdata=[share],
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
        cliponaxis=False,
    )
    return [line, tip]


def _angle(xs: list[float], ys: list[float]) -> float:
    """Compute the angle of a curve at three quarters of it, in degrees clockwise from upwards."""
    return degrees(atan2(xs[19] - xs[17], ys[19] - ys[17]))
