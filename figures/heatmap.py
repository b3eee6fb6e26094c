"""Draw behaviour x layer heatmaps: how well each behaviour can be read at each layer."""

from __future__ import annotations

import math

import pandas as pd
import plotly.graph_objects as go

from ._grid import grid, in_order
from .palette import SECOND, SEQUENTIAL, styled

COLUMNS = {"behaviour": str, "layer": float, "value": float, "low": float, "high": float, "n": float, "is_best": bool}
AUROC = "AUROC"


def layer_heatmap(table: pd.DataFrame, *, title: str, caption: str, measure: str = AUROC) -> go.Figure:
    """Draw one row a behaviour and one column a layer; the best layer is ringed and its value written beside it.

    Args:
        table: One row for each behaviour and layer: `behaviour`, `layer`, `value` with its interval `low` to `high`,
            `n` (spans that show the behaviour), `is_best` (whether the cell is ringed).
        title: Title of the figure.
        caption: What stands under it.
        measure: What `value` is, for the colour bar. The colours of "AUROC" end at 1 and begin at chance, or higher
            where every value is, so that good layers can be told apart; those of anything else begin at 0.
    """
    names, layers = in_order(table["behaviour"]), in_order(table["layer"])
    low, high, n = (grid(table, "behaviour", "layer", column) for column in ("low", "high", "n"))
    is_auroc = measure == AUROC
    heatmap = go.Heatmap(
        z=grid(table, "behaviour", "layer", "value"),
        x=layers,
        y=names,
        customdata=[[list(cell) for cell in zip(*rows, strict=True)] for rows in zip(low, high, n, strict=True)],
        hovertemplate="%{y}, layer %{x}<br>%{z:.3f} [%{customdata[0]:.3f}, %{customdata[1]:.3f}]"
        "<br>n = %{customdata[2]} spans<extra></extra>",
        colorscale=SEQUENTIAL,
        zmin=_floor(float(table["value"].min())) if is_auroc else 0,
        zmax=1 if is_auroc else None,
        colorbar={"title": {"text": measure}, "thickness": 12, "x": 1.12},
        xgap=1,
        ygap=1,
    )
    best = table[table["is_best"]]
    rings = go.Scatter(
        x=best["layer"].tolist(),
        y=best["behaviour"].tolist(),
        mode="markers",
        marker={"symbol": "square-open", "size": 17, "color": SECOND, "line": {"width": 2.5}},
        hoverinfo="skip",
    )
    figure = go.Figure([heatmap, rings])
    for name, layer, value in zip(best["behaviour"], best["layer"], best["value"], strict=True):
        figure.add_annotation(
            x=1.01,
            xref="paper",
            xanchor="left",
            y=name,
            text=f"{value:.3f} at {layer}",
            showarrow=False,
            font={"size": 12},
        )
    figure.update_xaxes(
        title="layer (block whose output is read)",
        range=[layers[0] - 0.5, layers[-1] + 0.5],
        dtick=1 if len(layers) <= 12 else None,  # plotly would write half a layer
    )
    figure.update_yaxes(autorange="reversed", title="behaviour")
    return styled(figure, title, caption, 140 + 40 * len(names))


def _floor(least: float) -> float:
    return max(0.5, math.floor(least * 20) / 20)
