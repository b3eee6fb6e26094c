"""Draw a search for layer and strength: what each cell did on more and more problems, and why it was dropped."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ._grid import in_order
from .palette import CONTROL, FOURTH, INK, SECOND, SIGNAL, THIRD, styled

COLUMNS = {
    "search": str,
    "layer": float,
    "strength": float,
    "n": float,
    "objective": float,
    "kl_nats": float,
    "dropped": str,
}
COLOURS = (SIGNAL, SECOND, THIRD, FOURTH, CONTROL)
OVER = "over the KL limit"


def search_lines(table: pd.DataFrame, *, title: str, caption: str, objective: str) -> go.Figure:
    """Draw a column for each search: a line for each layer and strength, a colour for each layer.

    Args:
        table: One row for each trial: `search` (a panel, and its title), `layer` and `strength` (a line), `n` (problems
            so far), `objective`, `kl_nats` (nats a token), `dropped` (why; a cross where it was over the limit; ""
            where the cell went on; of the last trials of a panel that is the choice, which is ringed).
        title: Title of the figure.
        caption: What stands under it.
        objective: Title of the axis.
    """
    searches, layers = in_order(table["search"]), sorted(table["layer"].unique())
    figure = make_subplots(cols=len(searches), column_titles=searches, shared_yaxes=False)
    in_legend: set[float] = set()
    for column, name in enumerate(searches, start=1):
        panel = table[table["search"] == name]
        for (layer, strength), rows in panel.groupby(["layer", "strength"], sort=True):
            line = _line(rows, layer, strength, COLOURS[layers.index(layer) % len(COLOURS)], layer not in in_legend)
            figure.add_trace(line, row=1, col=column)
            in_legend.add(layer)
        choice = panel[panel["dropped"] == ""].tail(1)
        figure.add_trace(_ring(choice), row=1, col=column)
        counts = sorted(panel["n"].unique().tolist())
        labels = [f"{n:g}" for n in counts]
        figure.update_xaxes(type="log", tickvals=counts, ticktext=labels, title="problems", row=1, col=column)
    figure.update_yaxes(title=objective, row=1, col=1)
    figure.update_annotations(font_size=12)
    figure = styled(figure, title, caption, 420)
    figure.update_layout(legend={"orientation": "h", "y": -0.2, "x": 0}, margin={"t": 120, "b": 90})
    return figure


def _line(rows: pd.DataFrame, layer: float, strength: float, colour: str, shown: bool) -> go.Scatter:
    return go.Scatter(
        x=rows["n"].tolist(),
        y=rows["objective"].tolist(),
        customdata=rows[["kl_nats", "dropped"]].to_numpy().tolist(),
        hovertemplate=f"layer {layer:g}, strength {strength:g}<br>%{{x}} problems: %{{y:.3f}}, KL "
        "%{customdata[0]:.3f} nats<br>%{customdata[1]}<extra></extra>",
        name=f"layer {layer:g}",
        legendgroup=f"layer {layer:g}",
        showlegend=shown,
        mode="lines+markers",
        line={"color": colour, "width": 1.5},
        marker={"size": 7, "symbol": ["x" if why == OVER else "circle" for why in rows["dropped"]]},
    )


def _ring(choice: pd.DataFrame) -> go.Scatter:
    return go.Scatter(
        x=choice["n"].tolist(),
        y=choice["objective"].tolist(),
        mode="markers",
        marker={"symbol": "circle-open", "size": 16, "color": INK, "line": {"width": 2}},
        hoverinfo="skip",
        showlegend=False,
    )
