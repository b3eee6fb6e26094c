"""Tabulate the figures of pass@k."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import nan
from typing import Any

import pandas as pd

from ...figures import FigureTable
from ...figures.attempts import (
    BASE,
    BOTH,
    CHANCE,
    DIFFERENCE,
    NEITHER,
    ONLY_BASE,
    ONLY_THINKING,
    THINKING,
)
from .attempts import Line
from .chance import Chance
from .counts import ProblemCounts
from .grading import Graded

PASS, LESS, ALL = "pass@k", "thinking less base", "pass^k: all k right"


def attempts_table(gradings: Mapping[str, Graded], chance: Chance | None, title: str, caption: str) -> FigureTable:
    """Tabulate pass@k of both models, chance, and the difference.

    Args:
        gradings: Name -> estimates.
        chance: What guesses reach; None: not known.
        title: Title of the figure.
        caption: What stands under it.

    Returns:
        The table.
    """
    rows: list[dict[str, Any]] = []
    for name, graded in gradings.items():
        curves = graded.curves
        rows += _rows(name, PASS, BASE, curves.k, curves.base_band)
        rows += _rows(name, PASS, THINKING, curves.k, curves.thinking_band)
        if chance is not None:
            rows += [
                _row(name, PASS, CHANCE, k, value, nan, nan) for k, value in zip(curves.k, chance.pass_at, strict=True)
            ]
        crossing = set(curves.crossover_set)
        rows += [
            row | {"standing": curves.standing(place), "can_cross": row["k"] in crossing}
            for place, row in enumerate(_rows(name, LESS, DIFFERENCE, curves.k, curves.difference_band))
        ]
    return _table("attempt_curves", rows, title, caption)


def all_right_table(gradings: Mapping[str, Graded], caption: str) -> FigureTable:
    """Tabulate pass^k of both models.

    Args:
        gradings: Name -> estimates.
        caption: What stands under the figure.

    Returns:
        The table.
    """
    rows: list[dict[str, Any]] = []
    for name, graded in gradings.items():
        rows += _rows(name, ALL, BASE, graded.curves.k, graded.curves.base_all)
        rows += _rows(name, ALL, THINKING, graded.curves.k, graded.curves.thinking_all)
    return _table("attempt_curves", rows, "All of k samples right", caption)


def cover_table(graded: Graded, caption: str) -> FigureTable:
    """Tabulate Cover@tau of both models.

    Args:
        graded: The estimates.
        caption: What stands under the figure.

    Returns:
        The table.
    """
    rows = [
        {"series": series, "tau": row.tau, "value": point.value, "low": point.low, "high": point.high}
        for series, name in ((BASE, "base"), (THINKING, "thinking"))
        for row in graded.cover_at
        for point in (getattr(row, name),)
    ]
    return _table("cover_curves", rows, "Problems solved reliably: Cover@tau", caption)


def rates_table(base: Sequence[ProblemCounts], thinking: Sequence[ProblemCounts], caption: str) -> FigureTable:
    """Tabulate the problems by the shares of right samples of both models.

    Args:
        base: Counts of the base, problem by problem.
        thinking: Of the thinking model.
        caption: What stands under the figure.

    Returns:
        The table: a row for each pair of shares.
    """
    points = Counter(
        (_solved_by(one, other), one.c / one.n, other.c / other.n) for one, other in zip(base, thinking, strict=True)
    )
    order = (BOTH, ONLY_BASE, ONLY_THINKING, NEITHER)
    rows = [
        {"solved_by": name, "base": one, "thinking": other, "n": float(n)}
        for (name, one, other), n in sorted(points.items(), key=lambda point: (order.index(point[0][0]), point[0][1:]))
    ]
    return _table("rate_points", rows, "Each problem: share of right samples", caption)


def _solved_by(base: ProblemCounts, thinking: ProblemCounts) -> str:
    if base.c and thinking.c:
        return BOTH
    return ONLY_BASE if base.c else ONLY_THINKING if thinking.c else NEITHER


def _rows(grading: str, measure: str, series: str, ks: Sequence[int], line: Line) -> list[dict[str, Any]]:
    return [
        _row(grading, measure, series, k, point.value, point.low, point.high) for k, point in zip(ks, line, strict=True)
    ]


def _row(grading: str, measure: str, series: str, k: int, value: float, low: float, high: float) -> dict[str, Any]:
    return {
        "grading": grading,
        "measure": measure,
        "series": series,
        "k": k,
        "value": value,
        "low": low,
        "high": high,
        "standing": "",
        "can_cross": False,
    }


def _table(figure: str, rows: list[dict[str, Any]], title: str, caption: str) -> FigureTable:
    frame = pd.DataFrame(rows)
    floats = [name for name in ("value", "low", "high") if name in frame]
    return FigureTable(
        figure=figure, rows=frame.astype(dict.fromkeys(floats, float)), options={"title": title, "caption": caption}
    )
