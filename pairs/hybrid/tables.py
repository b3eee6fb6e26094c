"""Tabulate the figures of a hybrid experiment."""

from __future__ import annotations

import pandas as pd

from ...figures import FigureTable
from .arms import HYBRID

OBJECTIVE = "accuracy on validation problems"


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


def search_table(rows: pd.DataFrame, kl_limit_nats: float) -> FigureTable:
    """Tabulate the search for layer and strength of the hybrid.

    Args:
        rows: Pair, and the columns of `PairResult.search`.
        kl_limit_nats: Beyond which cells were dropped.
    """
    own = rows[(rows["arm"] == HYBRID) & (rows["behaviour_strengths"] == "")]
    own = own.rename(columns={"pair": "search", "accuracy": "objective"}).reset_index(drop=True)
    caption = (
        f"{own['n'].max()} validation problems; KL of the steered base from the base, limit {kl_limit_nats:g} nats a "
        "token written; the ring is the choice"
    )
    options = {"title": "The search for layer and strength", "caption": caption, "objective": OBJECTIVE}
    return FigureTable(
        figure="search_lines", rows=own.drop(columns=["arm", "behaviour_strengths", "threshold"]), options=options
    )
