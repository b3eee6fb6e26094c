"""Behaviour x layer heatmaps of a probe sweep: how well each behaviour can be read at each layer."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import numpy as np
import plotly.graph_objects as go

from ..probes import BehaviourSweep, ProbeSweep
from ..probes.metrics._concordance import Estimate
from .palette import SECOND, SEQUENTIAL, styled

Figure = Literal["auroc", "effect_size"]
TITLES: dict[Figure, str] = {
    "auroc": "Where each behaviour can be read: AUROC by layer",
    "effect_size": "How far apart it lies: effect size of the mean difference by layer",
}


def layer_heatmap(sweep: ProbeSweep, figure: Figure = "auroc") -> go.Figure:
    """One row a behaviour, one column a layer; the layer of the highest value is ringed and its value written."""
    rows = {name: _estimates(found, figure) for name, found in sweep.behaviours.items()}
    names = list(rows)
    heatmap = go.Heatmap(
        z=[[estimate.value for estimate in estimates] for estimates in rows.values()],
        x=list(sweep.layers),
        y=names,
        customdata=[
            [[estimate.low, estimate.high, sweep.behaviours[name].n_positive] for estimate in estimates]
            for name, estimates in rows.items()
        ],
        hovertemplate="%{y}, layer %{x}<br>%{z:.3f} [%{customdata[0]:.3f}, %{customdata[1]:.3f}]"
        "<br>n = %{customdata[2]} spans<extra></extra>",
        colorscale=SEQUENTIAL,
        zmin=_floor(rows.values()) if figure == "auroc" else 0,
        zmax=1 if figure == "auroc" else None,
        colorbar={"title": {"text": "AUROC" if figure == "auroc" else "Cohen's d"}, "thickness": 12, "x": 1.12},
        xgap=1,
        ygap=1,
    )
    best = {name: int(np.nanargmax([estimate.value for estimate in row])) for name, row in rows.items()}
    rings = go.Scatter(
        x=[sweep.layers[slot] for slot in best.values()],
        y=names,
        mode="markers",
        marker={"symbol": "square-open", "size": 17, "color": SECOND, "line": {"width": 2.5}},
        hoverinfo="skip",
    )
    drawn = go.Figure([heatmap, rings])
    for name, slot in best.items():
        drawn.add_annotation(
            x=1.01,
            xref="paper",
            xanchor="left",
            y=name,
            text=f"{rows[name][slot].value:.3f} at {sweep.layers[slot]}",
            showarrow=False,
            font={"size": 12},
        )
    drawn.update_xaxes(
        title="layer (block whose output is read)",
        range=[sweep.layers[0] - 0.5, sweep.layers[-1] + 0.5],
        dtick=1 if len(sweep.layers) <= 12 else None,  # plotly would write half a layer
    )
    drawn.update_yaxes(autorange="reversed", title="behaviour")
    return styled(drawn, TITLES[figure], f"{caption(sweep)}; ringed: best layer", 140 + 40 * len(rows))


def caption(sweep: ProbeSweep) -> str:
    """What every figure of a sweep says under its title: model, read, n and how it was validated."""
    n_spans = sweep.scores.shape[-1]
    return (
        f"{sweep.model['name']}, read {sweep.read}; n = {n_spans} spans of {sweep.n_problems} problems, "
        f"{sweep.n_folds} folds that never cut a problem"
    )


def _estimates(found: BehaviourSweep, figure: Figure) -> list[Estimate]:
    return found.auroc if figure == "auroc" else found.effect_size


def _floor(rows: Iterable[list[Estimate]]) -> float:
    """Where the colours begin: chance, or higher where every value is, so that good layers can be told apart."""
    least = float(np.nanmin([[estimate.value for estimate in row] for row in rows]))
    return max(0.5, math.floor(least * 20) / 20)
