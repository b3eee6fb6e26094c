"""Draw directions of each model steering each other: effects as a matrix, a panel for each strength."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ._grid import grid, in_order
from .palette import DIVERGING, styled

COLUMNS = {
    "source": str,
    "target": str,
    "strength": float,
    "effect": float,
    "effect_low": float,
    "effect_high": float,
    "p_value": float,
    "kl_nats": float,
}


def steering_matrix_figure(table: pd.DataFrame, *, title: str, caption: str) -> go.Figure:
    """Draw rows for whose direction it is and columns for which model is steered; colour and number are the effect.

    Args:
        table: One row for each source, target and strength, of one behaviour and layer: `source`, `target`, `strength`
            (its panel; in mean residual norms of the target), `effect` (change of the behaviour's rate) with its
            interval `effect_low` to `effect_high`, `p_value`, `kl_nats` (on neutral text).
        title: Title of the figure.
        caption: What stands under it.
    """
    strengths = sorted(in_order(table["strength"]))
    limit = max(float(table["effect"].abs().max()), 0.01)
    figure = make_subplots(
        rows=1,
        cols=len(strengths),
        shared_yaxes=True,
        horizontal_spacing=0.02,
        column_titles=[f"strength {strength:g}" for strength in strengths],
    )
    for column, strength in enumerate(strengths, start=1):
        panel = table[table["strength"] == strength]
        intervals = (
            f"{effect:+.2f}<br>[{low:+.2f}, {high:+.2f}]"
            for effect, low, high in zip(panel["effect"], panel["effect_low"], panel["effect_high"], strict=True)
        )
        written = panel.assign(text=list(intervals))
        p_values, divergences = (grid(written, "source", "target", name) for name in ("p_value", "kl_nats"))
        figure.add_trace(
            go.Heatmap(
                z=grid(written, "source", "target", "effect"),
                x=in_order(panel["target"]),
                y=in_order(panel["source"]),
                text=grid(written, "source", "target", "text"),
                texttemplate="%{text}",
                customdata=[
                    [list(cell) for cell in zip(*rows, strict=True)] for rows in zip(p_values, divergences, strict=True)
                ],
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
    figure = styled(figure, title, caption, 210 + 90 * len(in_order(table["source"])))
    return figure.update_layout(margin={"t": 130})
