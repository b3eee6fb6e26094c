"""Tabulate the figures of a likelihood measurement."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ...figures import FigureTable
from .matching import BASE, ITSELF
from .pair_likelihood import PairLikelihood
from .perplexity import ALL, FIRST, REST
from .settings import RANKS

SERIES = {BASE: "base", ITSELF: "thinking model"}


def losses_table(pairs: Mapping[str, PairLikelihood]) -> FigureTable:
    """Tabulate the loss of either model's responses under either model."""
    rows = [
        {
            "panel": name,
            "name": f"responses of the {loss.writer} model" if loss.writer == "thinking" else "responses of the base",
            "series": f"read by the {loss.reader} model" if loss.reader == "thinking" else "read by the base",
            "value": loss.nats_a_token.value,
            "low": loss.nats_a_token.low,
            "high": loss.nats_a_token.high,
        }
        for name, pair in pairs.items()
        for loss in pair.losses
    ]
    return _points(rows, "How likely each model holds each model's responses", "loss, nats a token", pairs)


def ranks_table(pairs: Mapping[str, PairLikelihood]) -> FigureTable:
    """Tabulate, by behaviour and place, the thinking model's tokens that are not the base's likeliest, and its own."""
    rows = []
    for name, pair in pairs.items():
        for rank in pair.ranks:
            if rank.rank != RANKS[0] or (rank.place == ALL) != (rank.behaviour == "all"):
                continue
            place = {ALL: "all tokens", FIRST: "first tokens", REST: "later tokens"}[rank.place]
            line = place if rank.place == ALL else f"{rank.behaviour}, {place}"
            for series, share in (("thinking model's tokens", rank.share), ("base's own tokens", rank.own_share)):
                rows.append(
                    {
                        "panel": name,
                        "name": line,
                        "series": series,
                        "value": share.value,
                        "low": share.low,
                        "high": share.high,
                    }
                )
    return _points(rows, "Which tokens are the base's likeliest", "share that is the base's likeliest token", pairs)


def matches_table(pairs: Mapping[str, PairLikelihood]) -> FigureTable:
    """Tabulate how nearly behaviours are matched, by the number of responses."""
    rows = []
    for name, pair in pairs.items():
        for match in pair.matches:
            for measure, share in (("least distance", match.distance), ("exact match", match.exact)):
                rows.append(
                    {
                        "grading": name,
                        "measure": measure,
                        "series": SERIES.get(match.source, match.source),
                        "k": float(match.k),
                        "value": share.value,
                        "low": share.low,
                        "high": share.high,
                        "standing": "",
                        "can_cross": False,
                    }
                )
    frame = pd.DataFrame(rows).astype(dict.fromkeys(("value", "low", "high"), float))
    options = {"title": "Behaviours of the thinking model among k responses", "caption": _caption(pairs)}
    return FigureTable(figure="attempt_curves", rows=frame, options=options)


def _points(rows: list[dict[str, object]], title: str, axis: str, pairs: Mapping[str, PairLikelihood]) -> FigureTable:
    frame = pd.DataFrame(rows).astype(dict.fromkeys(("value", "low", "high"), float))
    return FigureTable(
        figure="interval_points", rows=frame, options={"title": title, "caption": _caption(pairs), "axis": axis}
    )


def _caption(pairs: Mapping[str, PairLikelihood]) -> str:
    n = max(pair.losses[0].nats_a_token.n for pair in pairs.values())
    return f"n = {n} problems a pair, 95% intervals over them"
