"""Tabulate the figure of an exchange."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ...figures import FigureTable
from .pair_exchange import PairExchange


def shares_table(pairs: Mapping[str, PairExchange], level: float) -> FigureTable:
    """Tabulate the when-share of every pair, with its control.

    Args:
        pairs: Name -> figures.
        level: Of their intervals.

    Returns:
        The table.
    """
    rows = []
    for name, pair in pairs.items():
        readings = {"when-share": pair.when_share, "behaviours in random order": pair.control_share}
        rows += [
            {"pair": name, "reading": reading, "share": share.value, "low": share.low, "high": share.high}
            for reading, share in readings.items()
            if share is not None
        ]
    n = max(pair.gap.n for pair in pairs.values())
    caption = (
        f"n = {n} problems a pair, {level * 100:.6g}% intervals over them, unclipped; 0: all of the gap is how, 1: all "
        "is when"
    )
    frame = pd.DataFrame(rows).astype(dict.fromkeys(("share", "low", "high"), float))
    return FigureTable(
        figure="share_points", rows=frame, options={"title": "Which share of the gap is when", "caption": caption}
    )
