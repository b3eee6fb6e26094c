"""Draw probes trained on one source and tested on another: a small matrix for each behaviour."""

from __future__ import annotations

from math import isnan

import pandas as pd
import plotly.graph_objects as go

from ._grid import grid, in_order
from ._panels import panels
from .palette import SEQUENTIAL, styled

COLUMNS = {
    "trained_on": str,
    "tested_on": str,
    "behaviour": str,
    "auroc": float,
    "auroc_low": float,
    "auroc_high": float,
    "n_positive": float,
}


def transfer_heatmap(table: pd.DataFrame, *, title: str, caption: str) -> go.Figure:
    """Draw AUROC with its interval in every cell; rows were trained on, columns tested on.

    Args:
        table: One row for each two sources and behaviour: `trained_on`, `tested_on`, `behaviour` (its panel), `auroc`
            with its interval `auroc_low` to `auroc_high`, `n_positive` (spans tested that show the behaviour).
        title: Title of the figure.
        caption: What stands under it.
    """
    laid_out = panels(table, lambda name, panel: f"{name} (n = {panel['n_positive'].min()} or more)", gap=0.2)
    figure, n_rows = laid_out.figure, laid_out.n_rows
    for row, column, panel in laid_out:
        intervals = (
            f"{value:.2f}" + ("" if isnan(low) else f"<br>[{low:.2f}, {high:.2f}]")
            for value, low, high in zip(panel["auroc"], panel["auroc_low"], panel["auroc_high"], strict=True)
        )
        written = panel.assign(text=list(intervals))
        heatmap = go.Heatmap(
            z=grid(written, "trained_on", "tested_on", "auroc"),
            x=in_order(panel["tested_on"]),
            y=in_order(panel["trained_on"]),
            text=grid(written, "trained_on", "tested_on", "text"),
            texttemplate="%{text}",
            hovertemplate="trained on %{y}, tested on %{x}: %{text}<extra></extra>",
            zmin=0.5,
            zmax=1,
            colorscale=SEQUENTIAL,
            showscale=(row, column) == (1, 1),
            colorbar={"title": {"text": "AUROC"}, "thickness": 12},
            xgap=1,
            ygap=1,
        )
        figure.add_trace(heatmap, row=row, col=column)
    figure.update_yaxes(autorange="reversed")
    figure.update_yaxes(title="trained on", col=1)
    figure.update_xaxes(title="tested on", row=n_rows)
    n_sources = len(in_order(table["trained_on"]))
    figure = styled(figure, title, caption, 170 + n_rows * (60 + 70 * n_sources))
    figure.update_layout(margin={"t": 120})
    return figure
