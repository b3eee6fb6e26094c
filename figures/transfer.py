"""Trained on one source, tested on another: a small matrix for each behaviour."""

from __future__ import annotations

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ..probes import TransferMatrix
from .curves import N_COLUMNS
from .palette import SEQUENTIAL, styled


def transfer_heatmap(found: TransferMatrix) -> go.Figure:
    """AUROC with its interval in every cell; rows were trained on, columns tested on."""
    n_columns = min(N_COLUMNS, len(found.behaviours))
    n_rows = -(-len(found.behaviours) // n_columns)
    figure = make_subplots(
        rows=n_rows,
        cols=n_columns,
        shared_xaxes=True,
        shared_yaxes=True,
        horizontal_spacing=0.02,
        vertical_spacing=0.2 / n_rows,
        subplot_titles=[
            f"{name} (n = {min(found.cells[a, a, name].n_positive for a in found.sources)} or more)"
            for name in found.behaviours
        ],
    )
    for place, behaviour in enumerate(found.behaviours):
        cells = [[found.cells[a, b, behaviour].auroc for b in found.sources] for a in found.sources]
        heatmap = go.Heatmap(
            z=[[each.value for each in row] for row in cells],
            x=found.sources,
            y=found.sources,
            text=[[f"{each.value:.2f}<br>[{each.low:.2f}, {each.high:.2f}]" for each in row] for row in cells],
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
    caption = f"{found.estimator} probes, layer chosen on the training source, {found.n_folds} folds; 95% intervals"
    figure = styled(figure, "Do probes carry over?", caption, 170 + n_rows * (60 + 70 * len(found.sources)))
    figure.update_layout(margin={"t": 120})
    return figure
