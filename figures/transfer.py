"""Draw probes trained on one source and tested on another: a small matrix for each behaviour."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ._grid import grid, in_order
from .curves import N_COLUMNS
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
    behaviours = in_order(table["behaviour"])
    n_columns = min(N_COLUMNS, len(behaviours))
    n_rows = -(-len(behaviours) // n_columns)
    panels = [table[table["behaviour"] == name] for name in behaviours]
    figure = make_subplots(
        rows=n_rows,
        cols=n_columns,
        shared_xaxes=True,
        shared_yaxes=True,
        horizontal_spacing=0.02,
        vertical_spacing=0.2 / n_rows,
        subplot_titles=[
            f"{name} (n = {panel['n_positive'].min()} or more)" for name, panel in zip(behaviours, panels, strict=True)
        ],
    )
    for place, panel in enumerate(panels):
        intervals = (
            f"{value:.2f}<br>[{low:.2f}, {high:.2f}]"
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
            showscale=place == 0,
            colorbar={"title": {"text": "AUROC"}, "thickness": 12},
            xgap=1,
            ygap=1,
        )
        figure.add_trace(heatmap, row=place // n_columns + 1, col=place % n_columns + 1)
    figure.update_yaxes(autorange="reversed")
    figure.update_yaxes(title="trained on", col=1)
    figure.update_xaxes(title="tested on", row=n_rows)
    figure.update_annotations(font_size=12)
    n_sources = len(in_order(table["trained_on"]))
    figure = styled(figure, title, caption, 170 + n_rows * (60 + 70 * n_sources))
    figure.update_layout(margin={"t": 120})
    return figure
