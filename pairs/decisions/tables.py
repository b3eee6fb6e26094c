"""Tabulate the figures of a measurement of decision tokens."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan

import pandas as pd

from ...figures import FigureTable
from ...stats import Interval
from .choosers import CHOOSERS
from .concentration import CURVE_AT
from .pair_decisions import WRITERS, PairDecisions
from .swap_points import ENDS, SwapPoint

TEXTS = {"base": "texts of the base", "thinking": "texts of the thinking model"}
DIRECTIONS = {"base": "base writes", "thinking": "thinking model writes"}
GAPS = {"base": "gap recovered, base writes", "thinking": "gap lost, thinking model writes"}
AXIS = "share of the tokens swapped (aimed at)"
LEAST_SHARE = 0.005  # of the tokens: rarer groups have intervals as wide as the figure, and are in the table alone


def lorenz_table(pairs: Mapping[str, PairDecisions]) -> FigureTable:
    """Tabulate the Lorenz curves of the divergence."""
    rows = [
        {"panel": name, "series": TEXTS[one.writer], "share": share, **_ends(held)}
        for name, pair in pairs.items()
        for one in pair.concentrations
        for share, held in zip(CURVE_AT, one.curve, strict=True)
    ]
    options = {
        "title": "How few positions hold the divergence",
        "caption": f"{_caption(pairs)}; dotted: all positions alike",
        "axis": "share of the Jensen-Shannon divergence",
    }
    return FigureTable(figure="lorenz_curves", rows=_numbers(rows, "share"), options=options)


def swaps_table(pairs: Mapping[str, PairDecisions]) -> FigureTable:
    """Tabulate accuracy by budget in both directions, with controls."""
    rows = []
    for name, pair in pairs.items():
        for writer in WRITERS:
            for chooser in CHOOSERS.values():
                rows += [
                    {
                        "panel": DIRECTIONS[writer],
                        "measure": f"accuracy, {name}",
                        "series": chooser.about,
                        "budget": point.budget,
                        "swapped": point.swapped.value,
                        **_ends(point.accuracy),
                    }
                    for point in pair.points
                    if point.writer == writer and point.chooser in (chooser.name, ENDS)
                ]
    options = {
        "title": "What swapped tokens are worth",
        "caption": f"{_caption(pairs)}; none of the tokens: the writer alone, all of them: the other model",
        "axis": AXIS,
    }
    return FigureTable(figure="budget_curves", rows=_numbers(rows, "budget", "swapped"), options=options)


def gaps_table(pairs: Mapping[str, PairDecisions]) -> FigureTable:
    """Tabulate the gap recovered or lost at each budget, with controls, of the pairs that have a gap."""
    shown = {name: pair for name, pair in pairs.items() if not isnan(pair.points[0].gap.value)}
    rows = [
        {
            "panel": f"{name}: {GAPS[writer]}",
            "name": f"budget {point.budget:.3g}",
            "series": CHOOSERS[point.chooser].about,
            **_ends(point.gap),
        }
        for name, pair in (shown or pairs).items()
        for writer in WRITERS
        for point in _by_budget(pair, writer)
    ]
    return _points(rows, "Which share of the gap goes with the swapped tokens", "share of the gap, unclipped", pairs)


def groups_table(pairs: Mapping[str, PairDecisions]) -> FigureTable:
    """Tabulate in which groups of positions the divergence is."""
    rows = [
        {
            "panel": f"{name}: {dimension}",
            "name": group.group,
            "series": TEXTS[one.writer],
            **_ends(group.lift),
        }
        for name, pair in pairs.items()
        for dimension in dict.fromkeys(group.dimension for one in pair.concentrations for group in one.groups)
        for one in pair.concentrations
        for group in one.groups
        if group.dimension == dimension and group.token_share.value >= LEAST_SHARE
    ]
    axis = "mean Jensen-Shannon divergence, in units of that of all positions"
    return _points(rows, f"Where the models diverge: groups of at least {LEAST_SHARE:.1%} of the tokens", axis, pairs)


def _by_budget(pair: PairDecisions, writer: str) -> list[SwapPoint]:
    points = [point for point in pair.points if point.writer == writer and point.chooser != ENDS]
    return sorted(points, key=lambda point: point.budget)


def _ends(interval: Interval) -> dict[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}


def _numbers(rows: list[dict[str, object]], *more: str) -> pd.DataFrame:
    return pd.DataFrame(rows).astype(dict.fromkeys((*more, "value", "low", "high"), float))


def _points(rows: list[dict[str, object]], title: str, axis: str, pairs: Mapping[str, PairDecisions]) -> FigureTable:
    options = {"title": title, "caption": _caption(pairs), "axis": axis}
    return FigureTable(figure="interval_points", rows=_numbers(rows), options=options)


def _caption(pairs: Mapping[str, PairDecisions]) -> str:
    n = max(pair.gap.n for pair in pairs.values())
    return f"n = {n} problems a pair, 95% intervals over them"
