"""Draw whether probabilities of probes mean what they say, one small panel a behaviour."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from ._panels import panels
from .palette import INK, SIGNAL, styled

COLUMNS = {
    "behaviour": str,
    "brier": float,
    "predicted": float,
    "observed": float,
    "observed_low": float,
    "observed_high": float,
    "n": float,
}


def calibration_curves(table: pd.DataFrame, *, title: str, caption: str) -> go.Figure:
    """Draw predicted against observed share with its interval; points on the dotted diagonal are right.

    Args:
        table: One row for each bin of spans of like probability: `behaviour` (its panel), `brier` (the behaviour's
            Brier score, for the panel's title), `predicted` (mean probability; NaN: the behaviour has no bins, its
            panel stays empty), `observed` with its interval `observed_low` to `observed_high`, `n` (spans in the bin).
        title: Title of the figure.
        caption: What stands under it.
    """
    laid_out = panels(table, lambda name, panel: f"{name} (Brier {panel['brier'].iloc[0]:.3f})", gap=0.24)
    figure, n_rows = laid_out.figure, laid_out.n_rows
    for row, column, panel in laid_out:
        bins = panel[panel["predicted"].notna()]
        diagonal = go.Scatter(
            x=[0, 1], y=[0, 1], mode="lines", line={"color": INK, "width": 1, "dash": "dot"}, hoverinfo="skip"
        )
        points = go.Scatter(
            x=bins["predicted"].tolist(),
            y=bins["observed"].tolist(),
            error_y={
                "type": "data",
                "symmetric": False,
                "array": (bins["observed_high"] - bins["observed"]).tolist(),
                "arrayminus": (bins["observed"] - bins["observed_low"]).tolist(),
                "thickness": 1,
                "width": 2,
            },
            mode="lines+markers",
            line={"color": SIGNAL, "width": 1.5},
            marker={"size": 5},
            customdata=bins["n"].tolist(),
            hovertemplate="predicted %{x:.2f}, observed %{y:.2f}, n = %{customdata}<extra></extra>",
        )
        figure.add_traces([diagonal, points], rows=row, cols=column)
    figure.update_xaxes(range=[-0.02, 1.02])
    figure.update_yaxes(range=[-0.04, 1.04])
    figure.update_yaxes(title="observed share", col=1)
    figure.update_xaxes(title="probability", row=n_rows)
    figure.update_layout(showlegend=False)
    figure = styled(figure, title, caption, 130 + 220 * n_rows)
    figure.update_layout(margin={"t": 120})
    return figure
