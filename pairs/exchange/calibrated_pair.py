"""One pair of which the truth is known, with what was read of it."""

from __future__ import annotations

from dataclasses import dataclass

from ...rundir import brief
from ...stats import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibratedPair:
    """The truth of a pair and its readings.

    Attributes:
        base: What the trained model was trained from.
        gap: Accuracy of the trained model less that of the base.
        truth: Shapley share of timing, by cross-play of decisions and content.
        readings: Name -> share of the gap that is *when*, as read; `when-share` is the first. NaN ends: no interval.
        led_tokens: Share of the tokens of both exchanges that led the speaker on.
    """

    base: str
    gap: Interval
    truth: Interval
    readings: dict[str, Interval]
    led_tokens: float

    __repr__ = brief
