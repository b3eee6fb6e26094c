"""Tabulate the figures of a sweep over strengths from its two frames: by strength, by layer, source by target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from ...figures import FigureTable
from ...figures.strength import DIRECTION, RANDOM, TOKEN

RATE, KL, ACCURACY = "rate", "KL, nats a token", "accuracy"


def strength_table(frame: pd.DataFrame, layers: Mapping[str, int]) -> FigureTable:
    """Tabulate rate, divergence and accuracy by strength, beside the controls of the same layer.

    Direction and tell-tale token have their intervals over problems, random directions their mean and whole range;
    all of them begin at strength 0, which is the unsteered model.

    Args:
        frame: `StrengthCurves.to_frame()`.
        layers: Behaviour -> the layer at which it is drawn.

    Returns:
        A row for each point.
    """
    measures = [RATE, KL] + ([ACCURACY] if frame["accuracy"].notna().any() else [])
    rows = [
        {"behaviour": behaviour, "layer": layer, "measure": measure} | point
        for measure in measures
        for behaviour, layer in layers.items()
        for point in _points(frame[frame["measured"] == behaviour], behaviour, layer, measure)
    ]
    steered = frame[frame["kind"] == "random"]
    n_random = 0 if steered.empty else int(steered["number"].max()) + 1
    caption = (
        f"n = {frame['n_problems'].iloc[0]} problems, 95% intervals over them; {n_random} random directions of the "
        f"same strength, mean and range; KL on {frame['n_neutral_tokens'].iloc[0]} tokens of neutral text. The layer "
        "is the one of the largest effect among those tried."
    )
    options = {"title": "What each direction does, by strength", "caption": caption}
    return FigureTable(figure="strength_figure", rows=pd.DataFrame(rows), options=options)


def layers_table(by_layer: pd.DataFrame, n_strengths: int) -> FigureTable:
    """Tabulate effect by layer beside the AUROC of the probe.

    Args:
        by_layer: `StrengthCurves.by_layer()`.
        n_strengths: Number of strengths tried at each layer.

    Returns:
        A row for each behaviour and layer.
    """
    flags = {
        f"has_best_{column}": by_layer.index.isin(
            by_layer[by_layer[column].notna()].groupby("behaviour", sort=False)[column].idxmax()
        )
        for column in ("effect", "auroc")
    }
    has_auroc = by_layer["auroc"].notna().any()
    n = by_layer["n_problems"].iloc[0]
    options = {
        "title": "Where a direction acts" + (", and where it can be read" if has_auroc else ""),
        "caption": f"n = {n} problems; the strength of each layer is its best of {n_strengths}; rings: the largest "
        "effect and AUROC",
    }
    return FigureTable(figure="effect_layers", rows=by_layer.assign(**flags), options=options)


def matrix_table(effects: pd.DataFrame, behaviour: str, layer: int) -> FigureTable:
    """Tabulate the effects of one behaviour's directions at one layer, source by target.

    Args:
        effects: `SteeringMatrix.effects()`.
        behaviour: The behaviour of the directions.
        layer: The layer at which they steer.

    Returns:
        A row for each source, target and strength.
    """
    own = effects[(effects["steered"] == behaviour) & (effects["layer"] == layer)].reset_index(drop=True)
    caption = (
        f"n = {own['n_problems'].iloc[0]} problems, 95% intervals over them; layer {layer}; strengths in mean "
        "residual norms of the target"
    )
    options = {"title": f"Whose direction for {behaviour} steers whom", "caption": caption}
    return FigureTable(figure="steering_matrix_figure", rows=own, options=options)


def _points(frame: pd.DataFrame, behaviour: str, layer: int, measure: str) -> Iterator[dict[str, Any]]:
    """Yield the points of every series of one panel, in the order of their strengths."""
    unsteered = frame[frame["kind"] == "unsteered"]
    at_layer = frame[frame["layer"] == layer]
    random = at_layer[at_layer["kind"] == "random"]
    start = _values(unsteered, measure)[0]
    yield from _in_order(
        RANDOM,
        [(0.0, (start[0],) * 3)]
        + [
            (strength, _mean_and_range([value for value, _, _ in _values(own, measure)]))
            for strength in random["strength"].unique().tolist()
            if len(own := random[random["strength"] == strength])
        ],
    )
    for kind, series in (("token", TOKEN), ("direction", DIRECTION)):
        own = at_layer[(at_layer["kind"] == kind) & (at_layer["steered"] == behaviour)]
        if len(own):
            points = zip(own["strength"].tolist(), _values(own, measure), strict=True)
            yield from _in_order(series, [(0.0, start), *points])


def _values(rows: pd.DataFrame, measure: str) -> list[tuple[float, float, float]]:
    """List value, low and high of a measure in each row."""
    names = {RATE: ("rate", "rate_low", "rate_high"), KL: ("kl_nats",) * 3}.get(
        measure, ("accuracy", "accuracy_low", "accuracy_high")
    )
    return list(zip(*(rows[name].tolist() for name in names), strict=True))


def _mean_and_range(values: list[float]) -> tuple[float, float, float]:
    return sum(values) / len(values), min(values), max(values)


def _in_order(series: str, points: list[tuple[float, tuple[float, float, float]]]) -> Iterator[dict[str, Any]]:
    for strength, (value, low, high) in sorted(points, key=lambda point: point[0]):
        yield {"series": series, "strength": strength, "value": value, "low": low, "high": high}
