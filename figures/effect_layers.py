"""Layers by what their direction does, above layers by how well a probe reads them: the two may disagree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from .palette import (
    CONTROL,
    INK,
    SECOND,
    SIGNAL,
    styled,
)

if TYPE_CHECKING:
    from ..analysis.effect.curves import DoseCurves


def effect_layers(curves: DoseCurves) -> go.Figure:
    """A column for each behaviour: largest effect over the strengths above, AUROC below; best layers ringed."""
    frame = curves.by_layer()
    behaviours = list(curves.behaviours)
    n_rows = 2 if frame["auroc"].notna().any() else 1
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
        own = frame[frame["behaviour"] == behaviour].sort_values("layer")
        shown = column == 1
        effect = go.Scatter(
            x=own["layer"],
            y=own["effect"],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": own["effect_high"] - own["effect"],
                "arrayminus": own["effect"] - own["effect_low"],
                "thickness": 1,
                "width": 3,
            },
            customdata=own[["strength", "p_value", "kl_nats"]],
            hovertemplate="layer %{x}: %{y:.3f} at strength %{customdata[0]}<br>p = %{customdata[1]:.3f}, "
            "KL %{customdata[2]:.2f} nats<extra></extra>",
            name="effect of the direction",
            legendgroup="effect",
            showlegend=shown,
            mode="lines+markers",
            line={"color": SIGNAL, "width": 2},
        )
        random = go.Scatter(
            x=own["layer"],
            y=own["random_max"],
            name="largest effect of a random direction",
            legendgroup="random",
            showlegend=shown,
            mode="lines",
            line={"color": CONTROL, "width": 1.5, "dash": "dot"},
        )
        auroc = go.Scatter(
            x=own["layer"],
            y=own["auroc"],
            name="AUROC of the probe",
            legendgroup="auroc",
            showlegend=shown,
            mode="lines+markers",
            line={"color": SECOND, "width": 2},
        )
        for row, traces, values in ((1, [random, effect], own["effect"]), (2, [auroc], own["auroc"]))[:n_rows]:
            for trace in traces:
                figure.add_trace(trace, row=row, col=column)
            if values.notna().any():
                best = own.iloc[int(values.to_numpy().argmax())]
                ring = go.Scatter(
                    x=[best["layer"]],
                    y=[values.max()],
                    mode="markers",
                    marker={"symbol": "circle-open", "size": 16, "color": INK, "line": {"width": 2}},
                    hoverinfo="skip",
                    showlegend=False,
                )
                figure.add_trace(ring, row=row, col=column)
    figure.update_yaxes(title="change of the rate", row=1, col=1)
    if n_rows == 2:
        figure.update_yaxes(title="AUROC", row=2, col=1)
    figure.update_xaxes(title="layer", row=n_rows)
    if len(curves.layers) <= 12:
        figure.update_xaxes(dtick=1)
    figure.update_annotations(font_size=12)
    n = len(curves.unsteered.n_sentences)
    text = f"n = {n} problems; the strength of each layer is its best of {len(curves.strengths)}; rings: the best layer"
    title = "Where a direction acts" + (", and where it can be read" if n_rows == 2 else "")
    figure = styled(figure, title, text, 170 + 180 * n_rows)
    figure.update_layout(legend={"orientation": "h", "y": -0.32 / n_rows, "x": 0}, margin={"t": 120, "b": 90})
    return figure
