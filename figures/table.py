"""Name the figure that is drawn from a tidy table, so that a saved table can be drawn again.

    {"format": "reasonlens.table/1", "figure": "layer_heatmap", "options": {"title": ...}, "columns": [...],
     "rows": [{"behaviour": ..., "layer": 0, ...}, ...]}

A new figure is one function of a table and keywords, listed in FIGURES with the columns that it needs and their types:
`str`, `bool`, or `float` for any number.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from . import (
    arms,
    attempts,
    before_after,
    budgets,
    calibration,
    cosine,
    cost,
    curves,
    differences,
    effect_layers,
    excess,
    gap,
    heatmap,
    labels,
    lorenz,
    nulls,
    outcomes,
    points,
    policy,
    returns,
    search,
    shares,
    similarity,
    sites,
    steered_line,
    steering_matrix,
    steps,
    strength,
    token_strip,
    training,
    transfer,
    truths,
)
from ._text import plotly_text

FORMAT = "reasonlens.table/1"
KINDS = {str: "a text", bool: "true or false", float: "a number"}

Draw = Callable[..., go.Figure]  # of a table, with title, caption and options of its own as keywords
FIGURES: dict[str, tuple[Draw, Mapping[str, type]]] = {
    "arm_points": (arms.arm_points, arms.COLUMNS),
    "attempt_curves": (attempts.attempt_curves, attempts.COLUMNS),
    "before_after_curves": (before_after.before_after_curves, before_after.COLUMNS),
    "budget_curves": (budgets.budget_curves, budgets.COLUMNS),
    "calibration_curves": (calibration.calibration_curves, calibration.COLUMNS),
    "cosine_heatmap": (cosine.cosine_heatmap, cosine.COLUMNS),
    "cost_points": (cost.cost_points, cost.COLUMNS),
    "cover_curves": (attempts.cover_curves, attempts.COVER_COLUMNS),
    "difference_heatmap": (differences.difference_heatmap, differences.COLUMNS),
    "effect_layers": (effect_layers.effect_layers, effect_layers.COLUMNS),
    "excess_bars": (excess.excess_bars, excess.COLUMNS),
    "gap_bars": (gap.gap_bars, gap.COLUMNS),
    "interval_points": (points.interval_points, points.COLUMNS),
    "label_points": (labels.label_points, labels.COLUMNS),
    "layer_curves": (curves.layer_curves, curves.COLUMNS),
    "layer_heatmap": (heatmap.layer_heatmap, heatmap.COLUMNS),
    "null_curves": (nulls.null_curves, nulls.COLUMNS),
    "lorenz_curves": (lorenz.lorenz_curves, lorenz.COLUMNS),
    "outcome_bars": (outcomes.outcome_bars, outcomes.COLUMNS),
    "policy_graph": (policy.policy_graph, policy.COLUMNS),
    "rate_points": (attempts.rate_points, attempts.RATE_COLUMNS),
    "return_rates": (returns.return_rates, returns.COLUMNS),
    "search_lines": (search.search_lines, search.COLUMNS),
    "share_points": (shares.share_points, shares.COLUMNS),
    "similarity_heatmap": (similarity.similarity_heatmap, similarity.COLUMNS),
    "site_heatmap": (sites.site_heatmap, sites.COLUMNS),
    "steered_line": (steered_line.steered_line, steered_line.COLUMNS),
    "step_panels": (steps.step_panels, steps.COLUMNS),
    "steering_matrix_figure": (steering_matrix.steering_matrix_figure, steering_matrix.COLUMNS),
    "strength_figure": (strength.strength_figure, strength.COLUMNS),
    "token_strip": (token_strip.token_strip, token_strip.COLUMNS),
    "training_curves": (training.training_curves, training.COLUMNS),
    "transfer_heatmap": (transfer.transfer_heatmap, transfer.COLUMNS),
    "truth_points": (truths.truth_points, truths.COLUMNS),
}


@dataclass(frozen=True, eq=False, kw_only=True)
class FigureTable:
    """A tidy table with the name of its figure and what else that figure says.

    Raises:
        ValueError: There is no such figure, or it needs another column, type of column or option.
    """

    figure: str  # a name in FIGURES
    rows: pd.DataFrame
    options: Mapping[str, str]  # title, caption and further keywords of the figure's function

    def __post_init__(self) -> None:
        if self.figure not in FIGURES:
            raise ValueError(f"there is no figure {self.figure!r}; there are {', '.join(FIGURES)}")
        draw, columns = FIGURES[self.figure]
        if missing := [name for name in columns if name not in self.rows.columns]:
            raise ValueError(f"a table of the figure {self.figure} needs the columns {', '.join(missing)}")
        try:
            inspect.signature(draw).bind(self.rows, **self.options)
        except TypeError as error:
            raise ValueError(f"the figure {self.figure} cannot be drawn so: {error}") from None
        if self.rows.empty:
            raise ValueError(f"a table of the figure {self.figure} needs at least one row")
        for name, kind in columns.items():
            if not _is_all(self.rows[name], kind):
                raise ValueError(f"the column {name} of the figure {self.figure} must hold {KINDS[kind]} in every row")

    def __repr__(self) -> str:
        title = " ".join(str(self.options.get("title", "")).split())
        return f"FigureTable({self.figure}, {len(self.rows)} rows: {title!r:.200}; look: .draw(), .rows)"

    def draw(self) -> go.Figure:
        """Draw the figure; text in the table is shown as it is, whatever markup it holds."""
        draw, _ = FIGURES[self.figure]
        rows = self.rows.copy()
        for name in rows.columns:
            if any(isinstance(value, str) for value in rows[name]):
                rows[name] = [
                    plotly_text(value.replace("\n", "⏎")) if isinstance(value, str) else value for value in rows[name]
                ]
        return draw(rows, **{name: plotly_text(text) for name, text in self.options.items()})

    def to_dict(self) -> dict[str, Any]:
        """Give plain values for JSON, with None for NaN; `from_dict` reads them back."""
        rows = self.rows.astype(object).where(self.rows.notna(), None)
        return {
            "format": FORMAT,
            "figure": self.figure,
            "options": dict(self.options),
            "columns": [str(name) for name in rows.columns],
            "rows": [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> FigureTable:
        """Read back a table.

        Args:
            content: What `to_dict` gave, also as JSON has it.

        Returns:
            The table.

        Raises:
            ValueError: The content is no such table; the message says what is wrong with it.
        """
        if not isinstance(content, Mapping) or content.get("format") != FORMAT:
            raise ValueError(f'no table of a figure: its "format" is not {FORMAT!r}')
        columns, rows, options = (content.get(name) for name in ("columns", "rows", "options"))
        if not (isinstance(columns, list) and isinstance(rows, list) and isinstance(options, Mapping)):
            raise ValueError('a table of a figure has "columns", "rows" and "options"')
        if not all(isinstance(row, Mapping) for row in rows):
            raise ValueError("a row of the table is no object of column and value")
        for number, row in enumerate(rows):
            if lacking := [name for name in columns if name not in row]:
                raise ValueError(f"row {number} of the table lacks {lacking[0]!r}; null stands for what is not known")
        frame = pd.DataFrame.from_records(rows, columns=columns)
        unknown = [name for name in frame.columns if frame[name].isna().all()]
        return cls(
            figure=str(content.get("figure")), rows=frame.astype(dict.fromkeys(unknown, np.float64)), options=options
        )


def _is_all(column: pd.Series[Any], kind: type) -> bool:
    if kind is str:
        return all(isinstance(value, str) for value in column)
    is_truth = pd.api.types.is_bool_dtype(column)
    return is_truth if kind is bool else pd.api.types.is_numeric_dtype(column) and not is_truth


def draw_all(tables: Mapping[str, FigureTable]) -> dict[str, go.Figure]:
    """Draw some tables.

    Args:
        tables: Name -> table.

    Returns:
        Name -> figure.
    """
    return {name: table.draw() for name, table in tables.items()}
