"""Draw whether probabilities of probes mean what they say, one small panel a behaviour."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ._grid import in_order
from .curves import N_COLUMNS
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
        vertical_spacing=0.24 / n_rows,
        subplot_titles=[
            f"{name} (Brier {panel['brier'].iloc[0]:.3f})" for name, panel in zip(behaviours, panels, strict=True)
        ],
    )
    for place, panel in enumerate(panels):
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
            hovertemplate="said %{x:.2f}, found %{y:.2f}, n = %{customdata}<extra></extra>",
        )
        figure.add_traces([diagonal, points], rows=place // n_columns + 1, cols=place % n_columns + 1)
    figure.update_xaxes(range=[-0.02, 1.02])
    figure.update_yaxes(range=[-0.04, 1.04])
    figure.update_yaxes(title="observed share", col=1)
    figure.update_xaxes(title="probability", row=n_rows)
    figure.update_annotations(font_size=12)
    figure.update_layout(showlegend=False)
    figure = styled(figure, title, caption, 130 + 220 * n_rows)
    figure.update_layout(margin={"t": 120})
    return figure
