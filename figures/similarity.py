"""Draw how alike every two layers of two models are: a matrix for each pair."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from ._grid import grid, in_order
from ._panels import panels
from .palette import SEQUENTIAL, styled

COLUMNS = {"pair": str, "layer": float, "thinking_layer": float, "value": float}
MOST_WRITTEN = 12  # layers, for which values are written into the cells


def similarity_heatmap(table: pd.DataFrame, *, title: str, caption: str) -> go.Figure:
    """Draw the debiased CKA of every layer of the base with every one of the thinking model.

    Args:
        table: One row for each two layers: `pair` (its panel), `layer` (a row), `thinking_layer` (a column), `value`.
        title: Title of the figure.
        caption: What stands under it.
    """
    laid_out = panels(table.rename(columns={"pair": "behaviour"}), lambda name, _: name, gap=0.2)
    figure, n_rows = laid_out.figure, laid_out.n_rows
    is_written = table["layer"].nunique() <= MOST_WRITTEN
    for row, column, panel in laid_out:
        heatmap = go.Heatmap(
            z=grid(panel, "layer", "thinking_layer", "value"),
            x=in_order(panel["thinking_layer"]),
            y=in_order(panel["layer"]),
            zmin=0,
            zmax=1,
            colorscale=SEQUENTIAL,
            texttemplate="%{z:.2f}" if is_written else None,
            hovertemplate="base %{y}, thinking model %{x}: %{z:.3f}<extra></extra>",
            showscale=(row, column) == (1, 1),
            colorbar={"title": {"text": "CKA"}, "thickness": 12},
            xgap=1,
            ygap=1,
        )
        figure.add_trace(heatmap, row=row, col=column)
    figure.update_yaxes(title="layer of the base", col=1)
    figure.update_xaxes(title="layer of the thinking model", row=n_rows)
    if is_written:
        figure.update_xaxes(dtick=1)
        figure.update_yaxes(dtick=1)
    figure = styled(figure, title, caption, 150 + 260 * n_rows)
    return figure.update_layout(margin={"t": 120})
