"""Draw what became of responses: the share of each outcome."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from .palette import INK, SIGNAL, styled

COLUMNS = {"outcome": str, "value": float, "low": float, "high": float, "n": float}


def outcome_bars(table: pd.DataFrame, *, title: str, caption: str) -> go.Figure:
    """Draw a bar with its interval for each outcome.

    Args:
        table: One row for each outcome: `outcome`, its share `value` with its interval `low` to `high` (NaN: none),
            `n` (what the interval is over).
        title: Title of the figure.
        caption: What stands under it.
    """
    figure = go.Figure(
        go.Bar(
            x=table["value"].tolist(),
            y=table["outcome"].tolist(),
            orientation="h",
            marker={"color": SIGNAL},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": (table["high"] - table["value"]).tolist(),
                "arrayminus": (table["value"] - table["low"]).tolist(),
                "thickness": 1.5,
                "color": INK,
            },
            customdata=table[["low", "high", "n"]].to_numpy().tolist(),
            hovertemplate="%{y}: %{x:.3f} [%{customdata[0]:.3f}, %{customdata[1]:.3f}], n = %{customdata[2]:.0f}"
            "<extra></extra>",
        )
    )
    figure.update_xaxes(range=[0, 1.02], title="share of responses")
    figure.update_yaxes(categoryorder="array", categoryarray=table["outcome"].tolist()[::-1])
    return styled(figure, title, caption, 190 + 34 * len(table))
