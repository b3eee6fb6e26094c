"""Tabulate the figure of a hybrid experiment."""

from __future__ import annotations

import pandas as pd

from ...figures import FigureTable
from ...figures.gap import END

ROLES = {
    "base": END,
    "thinking": END,
    "hybrid": "hybrid",
    "probe-gated": "hybrid",
    "network-strength": "hybrid",
    "oracle": "bound",
    "forcing": "bound",
    "base-step-by-step": "prompt",
}


def gap_table(frame: pd.DataFrame) -> FigureTable:
    """Tabulate the gap recovered by every arm.

    Args:
        frame: `HybridResult.to_frame()`.
    """
    rows = frame.assign(role=[ROLES.get(arm, "control") for arm in frame["arm"]])
    for column in ("gap", "gap_low", "gap_high"):
        rows[column] = rows[column].astype(float)
    caption = (
        f"n = {rows['n'].max()} questions a pair, 95% intervals over them, unclipped; 0: base, 1: thinking model; "
        "beside each bar: share of tokens steered"
    )
    options = {"title": "How much of the gap each arm recovers", "caption": caption}
    return FigureTable(figure="gap_bars", rows=rows, options=options)
