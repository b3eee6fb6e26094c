"""Directions of each model steering each other: effects as a matrix, a panel for each strength."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from .palette import DIVERGING, styled

if TYPE_CHECKING:
    from ..analysis.effect.matrix import SteeringMatrix


def steering_matrix_figure(matrix: SteeringMatrix, behaviour: str, layer: int) -> go.Figure:
    """Rows: whose direction; columns: which model is steered; colour and number: change of the behaviour's rate."""
    frame = matrix.effects()
    own = frame[(frame["steered"] == behaviour) & (frame["layer"] == layer)]
    strengths = sorted(own["strength"].unique())
    limit = max(float(own["effect"].abs().max()), 1e-6)
    sources, targets = list(dict.fromkeys(own["source"])), list(dict.fromkeys(own["target"]))
    figure = make_subplots(
        rows=1,
        cols=len(strengths),
        shared_yaxes=True,
        horizontal_spacing=0.02,
        column_titles=[f"strength {strength:g}" for strength in strengths],
    )
    for column, strength in enumerate(strengths, start=1):
        cells = {(row.source, row.target): row for row in own[own["strength"] == strength].itertuples()}
        rows = [[cells[source, target] for target in targets] for source in sources]
        figure.add_trace(
            go.Heatmap(
                z=[[cell.effect for cell in row] for row in rows],
                x=targets,
                y=sources,
                text=[
                    [f"{cell.effect:+.2f}<br>[{cell.effect_low:+.2f}, {cell.effect_high:+.2f}]" for cell in row]
                    for row in rows
                ],
                texttemplate="%{text}",
                customdata=[[[cell.p_value, cell.kl_nats] for cell in row] for row in rows],
                hovertemplate="%{y} steers %{x}: %{z:.3f}<br>p = %{customdata[0]:.3f}, KL %{customdata[1]:.2f} nats"
                "<extra></extra>",
                colorscale=DIVERGING,
                zmin=-limit,
                zmax=limit,
                showscale=column == len(strengths),
                colorbar={"title": {"text": "change of<br>the rate"}, "thickness": 12},
                xgap=2,
                ygap=2,
            ),
            row=1,
            col=column,
        )
    figure.update_xaxes(title="model that is steered")
    figure.update_yaxes(title="directions of", col=1)
    n = int(own["n_problems"].iloc[0])
    text = f"n = {n} problems, 95% intervals over them; layer {layer}; strengths in mean residual norms of the target"
    figure = styled(figure, f"Whose direction for {behaviour} steers whom", text, 210 + 90 * len(sources))
    return figure.update_layout(margin={"t": 130})
