"""Hold how often an opener before plain sentences makes a detector fire, and summarise the rates by detector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

from ...rundir import brief
from ...stats import Interval

PLAIN = ("behaviour", "layer", "detector", "opener", "is_telltale", "is_read", "n")  # columns that are no interval
INTERVALS = tuple(f"{name}at_{rate}_percent" for name in ("", "plain_", "above_plain_", "recall_") for rate in (1, 5))


@dataclass(frozen=True, kw_only=True)
class InjectionRate:
    """How often one opener makes one detector of a behaviour fire on plain sentences, and what fires without it."""

    behaviour: str
    layer: int
    detector: str  # "probe" or "direction"
    opener: str
    is_telltale: bool  # of the behaviour; neutral otherwise
    is_read: bool  # whether the read has the opener's tokens
    n: int  # sentences
    at_1_percent: Interval  # share that fires at a false positive rate of 1%
    at_5_percent: Interval
    plain_at_1_percent: Interval  # share of the same sentences without an opener
    plain_at_5_percent: Interval
    above_plain_at_1_percent: Interval  # the difference of the two, paired
    above_plain_at_5_percent: Interval
    recall_at_1_percent: Interval  # share of the behaviour's own spans, out of fold
    recall_at_5_percent: Interval

    __repr__ = brief

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON; None for NaN."""
        row: dict[str, Any] = {name: getattr(self, name) for name in PLAIN}
        for name in INTERVALS:
            row |= getattr(self, name).json_columns(name)
        return row

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> InjectionRate:
        """Restore what `to_dict` returned."""
        values: dict[str, Any] = {name: row[name] for name in PLAIN}
        return cls(**values | {name: Interval.from_columns(row, name) for name in INTERVALS})


def loudest(rates: Sequence[InjectionRate]) -> list[dict[str, Any]]:
    """Summarise the rates by behaviour and detector, at a false positive rate of 5%.

    Args:
        rates: Of `inject`.

    Returns:
        A row for each: the tell-tale opener on which it fires most often, of how many; the share with that opener's
        tokens in the read and without (None where the read begins before the span), the share of the same sentences
        without an opener, and how far the first is above it; the share on the neutral opener on which it fires most;
        and the share of the behaviour's own spans.
    """
    rows = []
    for behaviour, detector in dict.fromkeys((rate.behaviour, rate.detector) for rate in rates):
        own = [rate for rate in rates if (rate.behaviour, rate.detector) == (behaviour, detector)]
        read = [rate for rate in own if rate.is_read]
        telltale = [rate for rate in read if rate.is_telltale]
        neutral = [rate for rate in read if not rate.is_telltale]
        if not telltale or not neutral:
            continue
        most = max(telltale, key=lambda rate: rate.at_5_percent.value)
        without = [rate.at_5_percent for rate in own if rate.opener == most.opener and not rate.is_read]
        most_neutral = max(neutral, key=lambda rate: rate.at_5_percent.value)
        rows.append(
            {
                "behaviour": behaviour,
                "detector": detector,
                "opener": most.opener,
                "n_openers": len(telltale),
                "n": most.n,
                **most.above_plain_at_5_percent.json_columns("above_plain"),
                **most.at_5_percent.json_columns("fires"),
                **most.plain_at_5_percent.json_columns("fires_plain"),
                **(without or [Interval(nan)])[0].json_columns("fires_without"),
                "neutral": most_neutral.opener,
                **most_neutral.at_5_percent.json_columns("fires_neutral"),
                **most.recall_at_5_percent.json_columns("recall"),
            }
        )
    return rows
