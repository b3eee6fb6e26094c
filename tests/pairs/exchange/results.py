"""Results of exchanges made by hand, with a hostile name in every place that a model or a user could fill."""

from __future__ import annotations

from math import nan

from reasonlens.pairs.exchange import (
    CalibratedPair,
    Calibration,
    CellFigures,
    ExchangeResult,
    ExchangeSettings,
    PairExchange,
)
from reasonlens.stats import Interval

EVIL = "<script>alert('x')</script>"
NOTHING = Interval(nan, nan, nan, 100)


def share(value: float) -> Interval:
    return Interval(value, value - 0.05, value + 0.07, 100)


def pair_exchange(when: float = 0.8, name: str = EVIL) -> PairExchange:
    """A pair of which `when` of the gap is when."""
    cells = {
        cell: CellFigures(accuracy=share(accuracy), truncated=0.01, unsure=0.0, led=0.05, led_tokens=0.02, plans=0.1)
        for cell, accuracy in {
            "base": 0.1,
            "when": 0.5,
            "how": 0.2,
            "thinking": 0.6,
            "other moments": 0.05,
            "itself": 0.6,
        }.items()
    }
    return PairExchange(
        base=name,
        thinking=name,
        cells=cells,
        gap=share(0.5),
        when_share=share(when),
        how_share=share(1 - when),
        when_alone=share(0.4),
        how_alone=share(0.1),
        control_share=share(-0.1),
        when_above_control=share(0.45),
        lost=Interval(0.0, -0.002, 0.002, 100),
        when_share_open=share(when),
        when_above_control_open=share(0.45),
        lost_open=Interval(0.0, -0.002, 0.002, 100),
    )


def exchange_result() -> ExchangeResult:
    """Two pairs, one without a gap and without a control."""
    other = PairExchange(
        base="b",
        thinking="t",
        cells={"base": pair_exchange().cells["base"]},
        gap=share(0.0),
        when_share=NOTHING,
        how_share=NOTHING,
        when_alone=share(0.0),
        how_alone=share(0.0),
        control_share=None,
        when_above_control=None,
        lost=None,
        when_share_open=NOTHING,
        when_above_control_open=None,
        lost_open=None,
    )
    return ExchangeResult(pairs={EVIL: pair_exchange(), "other": other}, settings=ExchangeSettings())


def calibration() -> Calibration:
    """Three pairs; the constant and a reading of two of them beside the when-share."""
    readings = {"timing": (0.95, 0.9, 0.3), "both": (0.5, 0.6, None), EVIL: (0.1, 0.05, 0.2)}
    pairs = {
        name: CalibratedPair(
            base=f"base of {name}",
            gap=share(0.5),
            truth=share(truth),
            readings={"when-share": share(when)} | ({} if words is None else {"words": share(words)}),
            led_tokens=0.02,
        )
        for name, (truth, when, words) in readings.items()
    }
    return Calibration(pairs=pairs, settings=ExchangeSettings())
