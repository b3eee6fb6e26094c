"""Dose curves: rate of a behaviour, divergence on neutral text and accuracy by strength, beside the controls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ..stats import Interval
from .palette import (
    CONTROL,
    INK,
    SECOND,
    SIGNAL,
    faint,
    styled,
)

if TYPE_CHECKING:
    from ..analysis.effect.curves import DoseCurves
    from ..analysis.effect.outcome import Outcome

Measure = Callable[["Outcome"], Interval | None]


def dose_figure(curves: DoseCurves, behaviours: Sequence[str]) -> go.Figure:
    """A column for each behaviour at the layer that moves it most; a row for each of rate, KL and accuracy.

    Direction and tell-tale token: with 95% intervals over problems. Random directions: their mean and whole range.
    """
    measures: dict[str, Callable[[str], Measure]] = {
        "rate": lambda behaviour: lambda outcome: outcome.rate(behaviour),
        "KL, nats a token": lambda _: _kl,
    }
    if curves.unsteered.is_solved is not None:
        measures["accuracy"] = lambda _: lambda outcome: outcome.accuracy()
    layers = {behaviour: curves.best_layer(behaviour) for behaviour in behaviours}
    figure = make_subplots(
        rows=len(measures),
        cols=len(behaviours),
        shared_xaxes=True,
        horizontal_spacing=0.25 / (len(behaviours) + 3),
        vertical_spacing=0.07,
        column_titles=[f"{behaviour}<br>layer {layers[behaviour]}" for behaviour in behaviours],
    )
    for row, (name, measure) in enumerate(measures.items(), start=1):
        for column, behaviour in enumerate(behaviours, start=1):
            for trace in _panel(curves, behaviour, layers[behaviour], measure(behaviour), shown=row == column == 1):
                figure.add_trace(trace, row=row, col=column)
        figure.update_yaxes(title=name, row=row, col=1)
        figure.update_yaxes(rangemode="tozero", row=row)
    figure.update_xaxes(title="strength (mean residual norms)", row=len(measures))
    figure.update_annotations(font_size=12)
    n = len(curves.unsteered.n_sentences)
    n_random = len(curves.random_effects(behaviours[0], layers[behaviours[0]], curves.strengths[0]))
    text = (
        f"n = {n} problems, 95% intervals over them; {n_random} random directions of the same dose, mean and range; KL "
        f"on {curves.unsteered.damage.n_tokens} tokens of neutral text. The layer is the best of those tried."
    )
    figure = styled(figure, "What each direction does, by dose", text, 170 + 190 * len(measures))
    figure.update_layout(legend={"orientation": "h", "y": -0.12, "x": 0}, margin={"t": 130, "b": 90})
    return figure


def _kl(outcome: Outcome) -> Interval:
    damage = outcome.damage
    return Interval(damage.kl_nats, damage.kl_nats, damage.kl_nats, damage.n_tokens)


def _panel(curves: DoseCurves, behaviour: str, layer: int, measure: Measure, shown: bool) -> list[go.Scatter]:
    start = measure(curves.unsteered)
    traces = [_range(curves, layer, measure, start, shown)]
    for kind, name, colour, dash in (
        ("token", "unembedding of the tell-tale word", SECOND, "dash"),
        ("direction", "direction", SIGNAL, "solid"),
    ):
        known = [each for each in curves.outcomes if each.condition.kind == kind and each.condition.layer == layer]
        by_dose = {each.condition.strength: measure(each) for each in known if each.condition.behaviour == behaviour}
        if by_dose:
            traces.append(_line(by_dose | {0.0: start}, name, colour, dash, shown))
    return traces


def _line(by_dose: dict[float, Interval | None], name: str, colour: str, dash: str, shown: bool) -> go.Scatter:
    points = {dose: found for dose, found in sorted(by_dose.items()) if found is not None}
    return go.Scatter(
        x=list(points),
        y=[found.value for found in points.values()],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [found.high - found.value for found in points.values()],
            "arrayminus": [found.value - found.low for found in points.values()],
            "thickness": 1,
            "width": 3,
        },
        name=name,
        legendgroup=name,
        showlegend=shown,
        mode="lines+markers",
        marker={"size": 6},
        line={"color": colour, "width": 2, "dash": dash},
        hovertemplate="strength %{x}: %{y:.3f}<extra>" + name + "</extra>",
    )


def _range(curves: DoseCurves, layer: int, measure: Measure, start: Interval | None, shown: bool) -> go.Scatter:
    """The mean of the random directions at each dose, with bars over all of them."""
    doses, values = [0.0], [[start.value if start else float("nan")]]
    for dose in curves.strengths:
        random = [
            found.value
            for each in curves.outcomes
            if (each.condition.kind, each.condition.layer, each.condition.strength) == ("random", layer, dose)
            and (found := measure(each)) is not None
        ]
        doses.append(dose)
        values.append(random or [float("nan")])
    order = sorted(range(len(doses)), key=lambda place: doses[place])
    means = [sum(values[place]) / len(values[place]) for place in order]
    return go.Scatter(
        x=[doses[place] for place in order],
        y=means,
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [max(values[place]) - mean for place, mean in zip(order, means, strict=True)],
            "arrayminus": [mean - min(values[place]) for place, mean in zip(order, means, strict=True)],
            "thickness": 6,
            "width": 0,
            "color": faint(CONTROL, 0.45),
        },
        name="random directions",
        legendgroup="random directions",
        showlegend=shown,
        mode="lines",
        line={"color": INK, "width": 1.5, "dash": "dot"},
        hovertemplate="strength %{x}: mean %{y:.3f}<extra>random directions</extra>",
    )
