"""Tabulate the figures of a profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from ...figures import FigureTable
from ...figures.policy import KEY
from .model_profile import RATE, ModelProfile
from .policy import ALL

Pairs = Mapping[str, Sequence[ModelProfile]]


def policy_table(pairs: Pairs) -> FigureTable:
    """Tabulate what follows what, of all responses of each model."""
    rows = [
        {
            "model": _name(pairs, name, profile),
            "before": share.before,
            "after": share.behaviour,
            "share": share.share.value,
            "difference": share.difference.value,
            "is_sure": share.is_changed,
            "rate": profile.rate(share.before).share.value if share.before in _behaviours(profile) else 0.0,
        }
        for name, profiles in pairs.items()
        for profile in profiles
        if profile.responses == ALL
        for share in profile.shares
        if share.before != RATE
    ]
    frame = pd.DataFrame(rows).astype(dict.fromkeys(("share", "difference", "rate"), float))
    return FigureTable(
        figure="policy_graph",
        rows=frame,
        options={"title": "What follows what", "caption": f"{_caption(pairs)}; {KEY}"},
    )


def rates_table(pairs: Pairs) -> FigureTable:
    """Tabulate the rate of each behaviour, of all responses of each model."""
    rows = [
        {
            "panel": name,
            "name": share.behaviour,
            "series": profile.model,
            "value": share.share.value,
            "low": share.share.low,
            "high": share.share.high,
        }
        for name, profiles in pairs.items()
        for profile in profiles
        if profile.responses == ALL
        for share in profile.shares
        if share.before == RATE
    ]
    frame = pd.DataFrame(rows).astype(dict.fromkeys(("value", "low", "high"), float))
    options = {"title": "How often each behaviour is shown", "caption": _caption(pairs), "axis": "share of sentences"}
    return FigureTable(figure="interval_points", rows=frame, options=options)


def _behaviours(profile: ModelProfile) -> set[str]:
    return {share.behaviour for share in profile.shares if share.before == RATE}


def _name(pairs: Pairs, pair: str, profile: ModelProfile) -> str:
    return profile.model if len(pairs) == 1 else f"{pair}: {profile.model}"


def _caption(pairs: Pairs) -> str:
    n = max(profile.accuracy.n for profiles in pairs.values() for profile in profiles)
    return f"n = {n} problems a pair; intervals, where there are any, are over problems (95%)"
