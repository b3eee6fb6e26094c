"""Draw accuracy against cost: one point an arm with its interval, and the line of a control that may spend as much."""

from __future__ import annotations

from math import ceil, floor, log10

import pandas as pd
import plotly.graph_objects as go

from .palette import CONTROL, INK, SECOND, SIGNAL, faint, styled

COLUMNS = {"arm": str, "role": str, "flops": float, "value": float, "low": float, "high": float}
# What an arm is -> its colour, and the symbols of the arms of this kind; others are controls, drawn as a line.
ROLES = {
    "prompt": (INK, ("circle", "circle-open", "cross")),
    "timing": (SIGNAL, ("diamond", "diamond-open", "triangle-up")),
    "weights": (SECOND, ("square", "square-open", "star")),
}


def cost_points(table: pd.DataFrame, *, title: str, caption: str) -> go.Figure:
    """Draw accuracy against the FLOPs of a response, on a log axis.

    Args:
        table: `arm`, `role` ("prompt", "timing", "weights", or another for a point of a control's line), `flops` (of a
            response), `value` with its interval `low` to `high`.
        title: Title of the figure.
        caption: What stands under it.
    """
    figure = go.Figure()
    controls = table[~table["role"].isin(list(ROLES))]
    for arm, rows in controls.groupby("arm", sort=False):
        line = rows.sort_values("flops")
        flops = line["flops"].tolist()
        figure.add_scatter(
            x=[*flops, *reversed(flops)],
            y=[*line["high"], *reversed(line["low"].tolist())],
            fill="toself",
            fillcolor=faint(CONTROL),
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            legendgroup=str(arm),
            showlegend=False,
        )
        figure.add_scatter(
            x=flops,
            y=line["value"].tolist(),
            mode="lines+markers",
            name=str(arm),
            legendgroup=str(arm),
            line={"color": CONTROL, "width": 2, "dash": "dash"},
            marker={"size": 5},
            customdata=line[["low", "high"]].to_numpy().tolist(),
            hovertemplate="%{x:.3g} FLOPs: %{y:.3f} [%{customdata[0]:.3f}, %{customdata[1]:.3f}]<extra></extra>",
        )
    for role, (colour, symbols) in ROLES.items():
        rows = table[table["role"] == role]
        for number, row in enumerate(rows.to_dict("records")):
            figure.add_scatter(
                x=[row["flops"]],
                y=[row["value"]],
                mode="markers",
                name=str(row["arm"]),
                marker={"color": colour, "symbol": symbols[number % len(symbols)], "size": 10},
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": [row["high"] - row["value"]],
                    "arrayminus": [row["value"] - row["low"]],
                    "thickness": 1.5,
                },
                customdata=[[row["low"], row["high"]]],
                hovertemplate="%{y:.3f} [%{customdata[0]:.3f}, %{customdata[1]:.3f}], %{x:.3g} FLOPs",
            )
    figure.update_xaxes(
        type="log",
        **_ticks(table["flops"]),
        title="FLOPs a response: prompt and output, 2 a parameter and token",
    )
    figure.update_yaxes(title="accuracy", rangemode="tozero")
    figure = styled(figure, title, caption, 520)
    return figure.update_layout(legend={"orientation": "h", "y": -0.2, "x": 0}, margin={"b": 110})


def _ticks(flops: pd.Series) -> dict[str, list[float] | list[str]]:
    """Choose few numbers to write at a logarithmic axis: 1, 2 and 5 of each power of ten, or those that lie near."""
    low, high = float(flops.min()) * 0.9, float(flops.max()) * 1.1
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    for digits in ((1.0,), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)):
        values = [digit * 10.0**power for power in powers for digit in digits if low <= digit * 10.0**power <= high]
        if len(values) >= 3:
            break
    return {"tickvals": values, "ticktext": [f"{value:.2g}".replace("e+0", "e").replace("e+", "e") for value in values]}
