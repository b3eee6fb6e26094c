"""Tabulate the figure of a hybrid experiment."""

from __future__ import annotations

import pandas as pd

from ...figures import FigureTable


def gap_table(frame: pd.DataFrame) -> FigureTable:
    """Tabulate the gap recovered by every arm.

    Args:
        frame: `HybridResult.to_frame()`.
    """
    rows = frame.astype(dict.fromkeys(("gap", "gap_low", "gap_high"), float))
    caption = (
        f"n = {rows['n'].max()} questions a pair, 95% intervals over them, unclipped; 0: base, 1: thinking model; "
        "beside each bar: share of tokens steered"
    )
    options = {"title": "How much of the gap each arm recovers", "caption": caption}
    return FigureTable(figure="gap_bars", rows=rows, options=options)
