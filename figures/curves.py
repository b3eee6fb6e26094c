"""AUROC by layer, one small panel a behaviour: all spans, spans without tell-tale words, controls and baselines."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ..probes import ProbeSweep
from ..probes.metrics._concordance import Estimate
from .heatmap import caption
from .palette import (
    CONTROL,
    FOURTH,
    INK,
    SECOND,
    SIGNAL,
    THIRD,
    faint,
    styled,
)

N_COLUMNS = 4


def layer_curves(sweep: ProbeSweep, title: str = "AUROC by layer, with its controls") -> go.Figure:
    """One panel for each behaviour, with the chance line.

    All spans: with a 95% band that covers all layers at once. Spans without tell-tale words: with pointwise 95%
    intervals. Shuffled labels: with their range. Level lines: the number to report, and baselines without the model.
    """
    n_columns = min(N_COLUMNS, len(sweep.behaviours))
    n_rows = -(-len(sweep.behaviours) // n_columns)
    figure = make_subplots(
        rows=n_rows,
        cols=n_columns,
        shared_xaxes=True,
        shared_yaxes=True,
        horizontal_spacing=0.02,
        vertical_spacing=0.24 / n_rows,
        subplot_titles=[
            f"{name} (n = {found.n_positive}, {found.n_unmarked} unmarked)" for name, found in sweep.behaviours.items()
        ],
    )
    for place, found in enumerate(sweep.behaviours.values()):
        row, column = place // n_columns + 1, place % n_columns + 1
        for name, estimates, colour, dash in (
            ("shuffled labels (control)", found.auroc_shuffled, CONTROL, "solid"),
            ("spans without tell-tale words", found.auroc_unmarked, SECOND, "dash"),
            ("all spans", found.auroc_band, SIGNAL, "solid"),
        ):
            for trace in _banded(sweep.layers, estimates, name, colour, dash, shown=place == 0):
                figure.add_trace(trace, row=row, col=column)
        for name, estimate, colour, dash in (
            ("layer chosen on inner folds", found.nested.auroc, SIGNAL, "dot"),
            ("words alone, no model", found.auroc_text, THIRD, "dashdot"),
            ("token embeddings alone", found.auroc_embeddings, FOURTH, "longdash"),
        ):
            # Read before the span, its words are yet to come.
            is_fair = estimate is not found.auroc_text or not sweep.read.startswith("before")
            if is_fair and not math.isnan(estimate.value):
                figure.add_trace(_level(sweep.layers, estimate, name, colour, dash, shown=place == 0), row, column)
        figure.add_hline(0.5, row=row, col=column, line={"color": INK, "width": 1, "dash": "dot"})
    figure.update_yaxes(range=[0.35, 1.02])
    figure.update_yaxes(title="AUROC", col=1)
    figure.update_xaxes(title="layer", row=n_rows)
    if len(sweep.layers) <= 12:
        figure.update_xaxes(dtick=1 if len(sweep.layers) <= 6 else 2)
    figure.update_annotations(font_size=12)
    figure = styled(figure, title, f"{caption(sweep)}; dotted grey: chance", 130 + 220 * n_rows)
    figure.update_layout(legend={"orientation": "h", "y": -0.14 - 0.1 / n_rows, "x": 0}, margin={"t": 120, "b": 90})
    return figure


def _level(layers: Sequence[int], estimate: Estimate, name: str, colour: str, dash: str, shown: bool) -> go.Scatter:
    """A figure that has no layer, as a line across all of them."""
    return go.Scatter(
        x=[layers[0], layers[-1]],
        y=[estimate.value, estimate.value],
        name=name,
        legendgroup=name,
        showlegend=shown,
        mode="lines",
        line={"color": colour, "width": 1.5, "dash": dash},
        hovertemplate=f"%{{y:.3f}} [{estimate.low:.3f}, {estimate.high:.3f}]<extra>{name}</extra>",
    )


def _banded(
    layers: Sequence[int], estimates: Sequence[Estimate], name: str, colour: str, dash: str, shown: bool
) -> list[go.Scatter]:
    x, low, high = list(layers), [each.low for each in estimates], [each.high for each in estimates]
    band = go.Scatter(
        x=[*x, *reversed(x)],
        y=[*high, *reversed(low)],
        fill="toself",
        fillcolor=faint(colour),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        legendgroup=name,
        showlegend=False,
    )
    line = go.Scatter(
        x=x,
        y=[each.value for each in estimates],
        name=name,
        legendgroup=name,
        showlegend=shown,
        line={"color": colour, "width": 2, "dash": dash},
        mode="lines+markers",
        marker={"size": 4},
        customdata=[[each.low, each.high] for each in estimates],
        hovertemplate="layer %{x}: %{y:.3f} [%{customdata[0]:.3f}, %{customdata[1]:.3f}]<extra>" + name + "</extra>",
    )
    return [band, line]
