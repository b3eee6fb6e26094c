"""Draw how far each probe is above what could be known without the model, with intervals about the difference."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from ._grid import in_order
from .palette import CONTROL, INK, SIGNAL, styled

COLUMNS = {
    "behaviour": str,
    "value": float,
    "low": float,
    "high": float,
    "probe": float,
    "baseline": float,
    "baseline_name": str,
    "standing": str,
    "n": float,
}


def excess_bars(table: pd.DataFrame, *, title: str, caption: str) -> go.Figure:
    """Draw one row a behaviour: its excess with the interval, blue where that excludes 0, grey where it does not.

    Args:
        table: `behaviour` (its row), `value` (AUROC of the probe minus that of the baseline) with its interval `low` to
            `high`, `probe` and `baseline` (both AUROCs), `baseline_name`, `standing` (what may be said), `n` (spans).
        title: Title of the figure.
        caption: What stands under it.
    """
    figure = go.Figure()
    for is_above, colour, name in ((True, SIGNAL, "above its baseline"), (False, CONTROL, "not above its baseline")):
        rows = table[(table["low"] > 0) == is_above]
        if rows.empty:
            continue
        known = rows["low"].notna()
        figure.add_scatter(
            x=rows["value"].tolist(),
            y=rows["behaviour"].tolist(),
            error_x={
                "type": "data",
                "symmetric": False,
                "array": (rows["high"] - rows["value"]).where(known, 0).tolist(),
                "arrayminus": (rows["value"] - rows["low"]).where(known, 0).tolist(),
                "thickness": 2,
                "width": 5,
            },
            customdata=rows[["low", "high", "probe", "baseline", "baseline_name", "n"]].to_numpy().tolist(),
            hovertemplate="%{y}: %{x:+.3f} [%{customdata[0]:+.3f}, %{customdata[1]:+.3f}]<br>"
            "probe %{customdata[2]:.3f}, %{customdata[4]} %{customdata[3]:.3f}<br>"
            "n = %{customdata[5]} spans<extra></extra>",
            name=name,
            mode="markers",
            marker={"color": colour, "size": 10},
        )
    for row in table.itertuples():
        figure.add_annotation(
            x=1.01,
            xref="paper",
            xanchor="left",
            y=row.behaviour,
            text=f"{row.probe:.3f} against {row.baseline:.3f} ({row.baseline_name})",
            showarrow=False,
            font={"size": 12},
        )
    figure.add_vline(0, line={"color": INK, "width": 1, "dash": "dot"})
    behaviours = in_order(table["behaviour"])
    figure.update_yaxes(categoryorder="array", categoryarray=behaviours[::-1])
    figure.update_xaxes(title="AUROC of the probe minus that of its strongest baseline")
    figure = styled(figure, title, caption, 170 + 34 * len(behaviours))
    figure.update_layout(legend={"orientation": "h", "y": -0.35, "x": 0}, margin={"r": 250, "b": 90})
    return figure
