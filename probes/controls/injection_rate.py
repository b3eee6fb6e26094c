"""Hold how often an opener before plain sentences makes a detector fire, and summarise the rates by detector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...rundir import brief
from ...stats import Interval

PLAIN = ("behaviour", "layer", "detector", "opener", "is_telltale", "is_read", "n")  # columns that are no interval


@dataclass(frozen=True, kw_only=True)
class InjectionRate:
    """How often one opener makes one detector of a behaviour fire on plain sentences."""

    behaviour: str
    layer: int
    detector: str  # "probe" or "direction"
    opener: str
    is_telltale: bool  # of the behaviour; neutral otherwise
    is_read: bool  # whether the read has the opener's tokens
    at_1_percent: Interval  # share that fires at a false positive rate of 1%
    at_5_percent: Interval
    n: int  # sentences

    __repr__ = brief

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON; None for NaN."""
        return {
            **{name: getattr(self, name) for name in PLAIN},
            **self.at_1_percent.json_columns("at_1_percent"),
            **self.at_5_percent.json_columns("at_5_percent"),
        }

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> InjectionRate:
        """Restore what `to_dict` returned."""
        plain: dict[str, Any] = {name: row[name] for name in PLAIN}
        return cls(
            **plain,
            at_1_percent=Interval.from_columns(row, "at_1_percent"),
            at_5_percent=Interval.from_columns(row, "at_5_percent"),
        )


def loudest(rates: Sequence[InjectionRate]) -> list[dict[str, Any]]:
    """Summarise the rates by behaviour and detector, at a false positive rate of 5%.

    Args:
        rates: Of `inject`.

    Returns:
        A row for each: the tell-tale opener on which it fires most often, the share with that opener's tokens in the
        read and without, and the share on the neutral opener on which it fires most.
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
        without = next(rate for rate in own if rate.opener == most.opener and not rate.is_read)
        most_neutral = max(neutral, key=lambda rate: rate.at_5_percent.value)
        rows.append(
            {
                "behaviour": behaviour,
                "detector": detector,
                "opener": most.opener,
                "n": most.n,
                **most.at_5_percent.json_columns("fires"),
                **without.at_5_percent.json_columns("fires_without"),
                "neutral": most_neutral.opener,
                **most_neutral.at_5_percent.json_columns("fires_neutral"),
            }
        )
    return rows
