"""Draw a behaviour x layer heatmap of differences between two runs: blue below, red above, rings where it is sure."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from ._grid import grid, in_order
from .palette import DIVERGING, INK, styled

COLUMNS = {"behaviour": str, "layer": float, "value": float, "low": float, "high": float, "is_sure": bool}


def difference_heatmap(table: pd.DataFrame, *, title: str, caption: str) -> go.Figure:
    """Draw one row a behaviour and one column a layer; colours are even about 0.

    Args:
        table: `behaviour`, `layer`, `value` (first minus second) with its interval `low` to `high`, `is_sure` (whether
            the cell is ringed).
        title: Title of the figure.
        caption: What stands under it.
    """
    names, layers = in_order(table["behaviour"]), in_order(table["layer"])
    low, high = (grid(table, "behaviour", "layer", column) for column in ("low", "high"))
    reach = float(table["value"].abs().max()) or 1.0
    heatmap = go.Heatmap(
        z=grid(table, "behaviour", "layer", "value"),
        x=layers,
        y=names,
        customdata=[[list(cell) for cell in zip(*rows, strict=True)] for rows in zip(low, high, strict=True)],
        hovertemplate="%{y}, layer %{x}<br>%{z:+.3f} [%{customdata[0]:+.3f}, %{customdata[1]:+.3f}]<extra></extra>",
        colorscale=DIVERGING,
        zmin=-reach,
        zmax=reach,
        colorbar={"title": {"text": "difference"}, "thickness": 12},
        xgap=1,
        ygap=1,
    )
    sure = table[table["is_sure"]]
    rings = go.Scatter(
        x=sure["layer"].tolist(),
        y=sure["behaviour"].tolist(),
        mode="markers",
        marker={"symbol": "square-open", "size": 14, "color": INK, "line": {"width": 2}},
        hoverinfo="skip",
    )
    figure = go.Figure([heatmap, rings])
    figure.update_xaxes(title="layer", dtick=1 if len(layers) <= 12 else None)
    figure.update_yaxes(autorange="reversed")
    return styled(figure, title, caption, 200 + 30 * len(names))
