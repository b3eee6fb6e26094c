"""Tabulate the figures of a geometry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from ...figures import FigureTable
from ...figures.nulls import BASELINE, BETWEEN, OWN, PERMUTED, RANDOM, SHUFFLED, WITHIN
from ...stats import Interval
from .grafts import BASE
from .pair_geometry import PairGeometry

Pairs = Mapping[str, PairGeometry]


def geometry_tables(pairs: Pairs) -> dict[str, FigureTable]:
    """Tabulate each figure of which anything was measured.

    Args:
        pairs: By name.

    Returns:
        Name of the figure -> its table.
    """
    candidates = {
        "grafts": grafts_table(pairs),
        "graft_accuracies": accuracies_table(pairs),
        "cosines": cosines_table(pairs),
        "overlaps": overlaps_table(pairs),
        "transfer": transfer_table(pairs),
        "cka": cka_table(pairs),
        "cka_layers": cka_layers_table(pairs),
    }
    return {name: table for name, table in candidates.items() if table is not None}


def cosines_table(pairs: Pairs) -> FigureTable | None:
    """Tabulate the cosine of each behaviour's directions by layer, with its nulls."""
    rows = [
        _row(_panel(pairs, name, one.behaviour), series, one.layer, interval)
        for name, pair in pairs.items()
        for one in pair.cosines
        for series, interval in ((RANDOM, one.random), (SHUFFLED, one.shuffled), (BETWEEN, one.cosine))
    ]
    return _curves(rows, "Directions in base and thinking model", "cosine", pairs)


def overlaps_table(pairs: Pairs) -> FigureTable | None:
    """Tabulate the overlap of the behaviours' subspaces by layer, with its nulls."""
    rows = [
        _row(name, series, one.layer, interval)
        for name, pair in pairs.items()
        for one in pair.overlaps
        for series, interval in ((RANDOM, one.random), (SHUFFLED, one.shuffled), (BETWEEN, one.overlap))
    ]
    return _curves(rows, "Subspaces of the behaviours in base and thinking model", "mean cos² of the angles", pairs)


def transfer_table(pairs: Pairs) -> FigureTable | None:
    """Tabulate the AUROC of carried probes by layer, beside own probes and controls."""
    rows = [
        _row(_panel(pairs, name, f"{one.behaviour}, on {one.tested_on}"), series, one.layer, interval)
        for name, pair in pairs.items()
        for one in pair.transfers
        for series, interval in (
            (SHUFFLED, one.shuffled),
            (BASELINE, one.baseline),
            (OWN, one.own),
            (BETWEEN, one.auroc),
        )
    ]
    return _curves(rows, "Probes of one model, tested on the other", "AUROC", pairs)


def cka_layers_table(pairs: Pairs) -> FigureTable | None:
    """Tabulate the CKA of layers at the same depth, with its controls."""
    rows = [
        _row(name, series, one.layer, interval)
        for name, pair in pairs.items()
        for one in pair.similarities
        if one.is_like
        for series, interval in ((PERMUTED, one.permuted), (WITHIN, one.within), (BETWEEN, one.cka))
    ]
    return _curves(rows, "Layers at the same depth", "debiased CKA", pairs)


def cka_table(pairs: Pairs) -> FigureTable | None:
    """Tabulate the CKA of every two layers."""
    rows = [
        {
            "pair": name,
            "layer": float(one.layer),
            "thinking_layer": float(one.thinking_layer),
            "value": one.cka.value,
        }
        for name, pair in pairs.items()
        for one in pair.similarities
    ]
    if not rows:
        return None
    frame = pd.DataFrame(rows).astype({"value": float})
    options = {"title": "What layers of both models have in common", "caption": _caption(pairs)}
    return FigureTable(figure="similarity_heatmap", rows=frame, options=options)


def grafts_table(pairs: Pairs) -> FigureTable | None:
    """Tabulate the gap that each graft recovers, beside its control; pairs without a gap are left out."""
    rows = [
        _point(name, one.name, series, interval)
        for name, pair in pairs.items()
        if pair.grafts is not None and not pair.grafts.no_gap
        for one in pair.grafts.figures
        if one.kind != "end"
        for series, interval in (("graft", one.gap), ("control: moved as far, at random", one.control_gap))
    ]
    return _points(rows, "Gap that parts of the weights recover", "share of the gap between the models", pairs)


def accuracies_table(pairs: Pairs) -> FigureTable | None:
    """Tabulate what each graft, its control and both ends solve."""
    rows = [
        _point(name, f"{one.name} ({'no' if one.name == BASE else 'all'} weights)", "graft", one.accuracy)
        if one.kind == "end"
        else _point(name, one.name, series, interval)
        for name, pair in pairs.items()
        if pair.grafts is not None
        for one in pair.grafts.figures
        for series, interval in (
            (("graft", one.accuracy),)
            if one.kind == "end"
            else (("graft", one.accuracy), ("control: moved as far, at random", one.control))
        )
    ]
    return _points(rows, "What grafts solve", "share of right answers", pairs)


def _row(panel: str, series: str, layer: int, interval: Interval) -> dict[str, Any]:
    ends = {"value": interval.value, "low": interval.low, "high": interval.high}
    return {"behaviour": panel, "series": series, "layer": float(layer), **ends}


def _point(pair: str, graft: str, series: str, interval: Interval) -> dict[str, Any]:
    ends = {"value": interval.value, "low": interval.low, "high": interval.high}
    return {"panel": pair, "name": graft, "series": series, **ends}


def _curves(rows: Iterable[dict[str, Any]], title: str, axis: str, pairs: Pairs) -> FigureTable | None:
    frame = pd.DataFrame(rows)
    if frame.empty:
        return None
    frame = frame.astype(dict.fromkeys(("value", "low", "high"), float))
    caption = f"{_caption(pairs)}; grey bands: where the nulls lie"
    return FigureTable(figure="null_curves", rows=frame, options={"title": title, "caption": caption, "axis": axis})


def _points(rows: Iterable[dict[str, Any]], title: str, axis: str, pairs: Pairs) -> FigureTable | None:
    frame = pd.DataFrame(rows)
    if frame.empty:
        return None
    frame = frame.astype(dict.fromkeys(("value", "low", "high"), float))
    n = max(pair.grafts.figures[0].accuracy.n for pair in pairs.values() if pair.grafts is not None)
    caption = f"n = {n} problems a pair, 95% intervals over them; shares are unclipped"
    return FigureTable(figure="interval_points", rows=frame, options={"title": title, "caption": caption, "axis": axis})


def _panel(pairs: Pairs, pair: str, name: str) -> str:
    return name if len(pairs) == 1 else f"{pair}: {name}"


def _caption(pairs: Pairs) -> str:
    n = max(pair.n_problems for pair in pairs.values())
    return f"n = {n} problems a pair, 95% intervals over them"
