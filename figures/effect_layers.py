"""Draw layers by what their direction does, above layers by how well a probe reads them: the two may disagree."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ._grid import in_order
from .palette import (
    CONTROL,
    INK,
    SECOND,
    SIGNAL,
    styled,
)

COLUMNS = {
    "behaviour": str,
    "layer": float,
    "strength": float,
    "effect": float,
    "effect_low": float,
    "effect_high": float,
    "random_max": float,
    "p_value": float,
    "kl_nats": float,
    "auroc": float,
    "has_best_effect": bool,
    "has_best_auroc": bool,
}


def effect_layers(table: pd.DataFrame, *, title: str, caption: str) -> go.Figure:
    """Draw a column for each behaviour: effect by layer above, AUROC by layer below; the largest are ringed.

    Args:
        table: One row for each behaviour and layer: `behaviour`, `layer`, `strength` (at which the effect is),
            `effect` (change of the behaviour's rate) with its interval `effect_low` to `effect_high`, `random_max`
            (largest effect of a random direction), `p_value`, `kl_nats`, `auroc` (of the probe; without any, only
            effects are drawn), `has_best_effect` and `has_best_auroc` (whether the layer is ringed).
        title: Title of the figure.
        caption: What stands under it.
    """
    behaviours = in_order(table["behaviour"])
    n_rows = 2 if table["auroc"].notna().any() else 1
    figure = make_subplots(
        rows=n_rows,
        cols=len(behaviours),
        shared_xaxes=True,
        shared_yaxes=False,
        horizontal_spacing=0.25 / (len(behaviours) + 3),
        vertical_spacing=0.1,
        column_titles=behaviours,
    )
    for column, behaviour in enumerate(behaviours, start=1):
        rows = table[table["behaviour"] == behaviour].sort_values("layer")
        for trace in (*_effects(rows, shown=column == 1), _ring(rows[rows["has_best_effect"]], "effect")):
            figure.add_trace(trace, row=1, col=column)
        if n_rows == 2:
            for trace in (_auroc(rows, shown=column == 1), _ring(rows[rows["has_best_auroc"]], "auroc")):
                figure.add_trace(trace, row=2, col=column)
    figure.update_yaxes(title="change of the rate", row=1, col=1)
    if n_rows == 2:
        figure.update_yaxes(title="AUROC", row=2, col=1)
    figure.update_xaxes(title="layer", row=n_rows)
    if table["layer"].nunique() <= 12:
        figure.update_xaxes(dtick=1)
    figure.update_annotations(font_size=12)
    figure = styled(figure, title, caption, 170 + 180 * n_rows)
    figure.update_layout(legend={"orientation": "h", "y": -0.32 / n_rows, "x": 0}, margin={"t": 120, "b": 90})
    return figure


def _effects(rows: pd.DataFrame, shown: bool) -> list[go.Scatter]:
    effect = go.Scatter(
        x=rows["layer"].tolist(),
        y=rows["effect"].tolist(),
        error_y={
            "type": "data",
            "symmetric": False,
            "array": (rows["effect_high"] - rows["effect"]).tolist(),
            "arrayminus": (rows["effect"] - rows["effect_low"]).tolist(),
            "thickness": 1,
            "width": 3,
        },
        customdata=rows[["strength", "p_value", "kl_nats"]].to_numpy().tolist(),
        hovertemplate="layer %{x}: %{y:.3f} at strength %{customdata[0]}<br>p = %{customdata[1]:.3f}, "
        "KL %{customdata[2]:.2f} nats<extra></extra>",
        name="effect of the direction",
        legendgroup="effect",
        showlegend=shown,
        mode="lines+markers",
        line={"color": SIGNAL, "width": 2},
    )
    random = go.Scatter(
        x=rows["layer"].tolist(),
        y=rows["random_max"].tolist(),
        name="largest effect of a random direction",
        legendgroup="random",
        showlegend=shown,
        mode="lines",
        line={"color": CONTROL, "width": 1.5, "dash": "dot"},
    )
    return [random, effect]


def _auroc(rows: pd.DataFrame, shown: bool) -> go.Scatter:
    return go.Scatter(
        x=rows["layer"].tolist(),
        y=rows["auroc"].tolist(),
        name="AUROC of the probe",
        legendgroup="auroc",
        showlegend=shown,
        mode="lines+markers",
        line={"color": SECOND, "width": 2},
    )


def _ring(best: pd.DataFrame, value: str) -> go.Scatter:
    return go.Scatter(
        x=best["layer"].tolist(),
        y=best[value].tolist(),
        mode="markers",
        marker={"symbol": "circle-open", "size": 16, "color": INK, "line": {"width": 2}},
        hoverinfo="skip",
        showlegend=False,
    )
