"""Draw a site x layer heatmap of one behaviour: whether attention or the MLP brings what can be read of it."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from .heatmap import AUROC, layer_heatmap

COLUMNS = {"site": str, "layer": float, "value": float, "low": float, "high": float, "n": float, "is_best": bool}


def site_heatmap(table: pd.DataFrame, *, title: str, caption: str, measure: str = AUROC) -> go.Figure:
    """Draw one row a site, in the order of the table, and one column a layer; the best layer of each site is ringed.

    Args:
        table: One row for each site and layer: `site`, `layer`, `value` with its interval `low` to `high`, `n` (spans
            that show the behaviour), `is_best` (whether the cell is ringed). A site that a block lacks has no row.
        title: Title of the figure.
        caption: What stands under it.
        measure: What `value` is, for the colour bar.
    """
    figure = layer_heatmap(table.rename(columns={"site": "behaviour"}), title=title, caption=caption, measure=measure)
    figure.update_yaxes(title="site")
    figure.update_xaxes(title="layer (block)")
    return figure
