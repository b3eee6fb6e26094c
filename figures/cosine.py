"""Draw how the directions of the behaviours lie to each other."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from ._grid import grid, in_order
from .palette import DIVERGING, styled

COLUMNS = {"behaviour": str, "other": str, "cosine": float}


def cosine_heatmap(table: pd.DataFrame, *, title: str, caption: str) -> go.Figure:
    """Draw the cosine similarity of every two behaviours' directions, written into the cells.

    Args:
        table: One row for each ordered pair: `behaviour` (a row), `other` (a column), `cosine`.
        title: Title of the figure.
        caption: What stands under it.
    """
    names = in_order(table["behaviour"])
    heatmap = go.Heatmap(
        z=grid(table, "behaviour", "other", "cosine"),
        x=in_order(table["other"]),
        y=names,
        zmin=-1,
        zmax=1,
        colorscale=DIVERGING,
        texttemplate="%{z:.2f}",
        hovertemplate="%{y} and %{x}: %{z:.3f}<extra></extra>",
        colorbar={"title": {"text": "cosine"}, "thickness": 12},
        xgap=1,
        ygap=1,
    )
    figure = go.Figure(heatmap)
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(tickangle=-35)
    return styled(figure, title, caption, 200 + 45 * len(names))
