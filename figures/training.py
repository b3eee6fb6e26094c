"""Draw what a training logs, step by step: a panel for each measure."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ._grid import in_order
from .palette import SIGNAL, faint, styled

COLUMNS = {"measure": str, "step": float, "value": float, "mean": float}


def training_curves(table: pd.DataFrame, *, title: str, caption: str) -> go.Figure:
    """Draw a panel for each measure: the values of the steps, and a running mean.

    Args:
        table: `measure` (its panel, with the unit), `step`, `value`, and `mean` (over neighbouring steps).
        title: Title of the figure.
        caption: What stands under it.
    """
    measures = in_order(table["measure"])
    figure = make_subplots(rows=len(measures), cols=1, shared_xaxes=True, vertical_spacing=0.06)
    for row, measure in enumerate(measures, start=1):
        rows = table[table["measure"] == measure].sort_values("step", kind="stable")
        values = go.Scatter(
            x=rows["step"].tolist(),
            y=rows["value"].tolist(),
            mode="markers",
            marker={"color": faint(SIGNAL, 0.45), "size": 5},
            name=f"{measure}, a step",
            showlegend=False,
        )
        mean = go.Scatter(
            x=rows["step"].tolist(),
            y=rows["mean"].tolist(),
            mode="lines",
            line={"color": SIGNAL, "width": 2},
            name=f"{measure}, running mean",
            showlegend=False,
        )
        figure.add_trace(values, row=row, col=1)
        figure.add_trace(mean, row=row, col=1)
        figure.update_yaxes(title=measure, row=row, col=1)
    figure.update_xaxes(title="step of the optimiser", row=len(measures), col=1)
    return styled(figure, title, caption, 150 + 170 * len(measures))
