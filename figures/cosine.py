"""How the directions of the behaviours lie to each other at one layer."""

from __future__ import annotations

import plotly.graph_objects as go

from ..analysis.geometry import cosine_matrix
from ..vectors import Directions
from .palette import DIVERGING, styled


def cosine_heatmap(directions: Directions, layer: int) -> go.Figure:
    """Cosine similarity of every two behaviours' directions at `layer`, written into the cells."""
    cosines = cosine_matrix(directions, layer)
    names = list(directions.behaviours)
    heatmap = go.Heatmap(
        z=cosines.numpy(),
        x=names,
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
    spans = sum(directions.n_examples.values())
    return styled(
        figure,
        f"Cosine between directions at layer {layer}",
        f"{directions.model['name']}, {directions.method}; n = {spans} spans of {directions.n_problems} problems",
        200 + 45 * len(names),
    )
