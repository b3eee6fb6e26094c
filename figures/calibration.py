"""Whether probabilities of probes mean what they say, one small panel a behaviour."""

from __future__ import annotations

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ..probes import ProbeSweep
from .curves import N_COLUMNS
from .heatmap import caption
from .palette import INK, SIGNAL, styled


def calibration_curves(sweep: ProbeSweep) -> go.Figure:
    """Predicted against observed share in ten bins of equal size, with 95% intervals; on the diagonal is right.

    Out-of-fold probabilities, layer and penalty chosen on inner folds. Empty for probes that give no log odds.
    """
    n_columns = min(N_COLUMNS, len(sweep.behaviours))
    n_rows = -(-len(sweep.behaviours) // n_columns)
    briers = {name: found.nested.worth.brier.value for name, found in sweep.behaviours.items()}
    figure = make_subplots(
        rows=n_rows,
        cols=n_columns,
        shared_xaxes=True,
        shared_yaxes=True,
        horizontal_spacing=0.02,
        vertical_spacing=0.24 / n_rows,
        subplot_titles=[f"{name} (Brier {brier:.3f})" for name, brier in briers.items()],
    )
    for place, found in enumerate(sweep.behaviours.values()):
        row, column = place // n_columns + 1, place % n_columns + 1
        diagonal = go.Scatter(
            x=[0, 1], y=[0, 1], mode="lines", line={"color": INK, "width": 1, "dash": "dot"}, hoverinfo="skip"
        )
        bins = found.nested.calibration
        points = go.Scatter(
            x=[each.predicted for each in bins],
            y=[each.observed.value for each in bins],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [each.observed.high - each.observed.value for each in bins],
                "arrayminus": [each.observed.value - each.observed.low for each in bins],
                "thickness": 1,
                "width": 2,
            },
            mode="lines+markers",
            line={"color": SIGNAL, "width": 1.5},
            marker={"size": 5},
            customdata=[each.n for each in bins],
            hovertemplate="said %{x:.2f}, found %{y:.2f}, n = %{customdata}<extra></extra>",
        )
        figure.add_traces([diagonal, points], rows=row, cols=column)
    figure.update_xaxes(range=[-0.02, 1.02])
    figure.update_yaxes(range=[-0.04, 1.04])
    figure.update_yaxes(title="observed share", col=1)
    figure.update_xaxes(title="probability", row=n_rows)
    figure.update_annotations(font_size=12)
    figure.update_layout(showlegend=False)
    figure = styled(
        figure, "Do the probes' probabilities hold?", f"{caption(sweep)}; dotted: perfect", 130 + 220 * n_rows
    )
    figure.update_layout(margin={"t": 120})
    return figure
