"""Lines and results made by hand, with a hostile name in every place that a model or a user could fill."""

from __future__ import annotations

from math import nan

from reasonlens.pairs.verdict import Climb, EvidenceLine, LineReading, VerdictResult, VerdictSettings
from reasonlens.pairs.verdict.exchange_piece import line_of_exchange
from reasonlens.pairs.verdict.looks import Look
from reasonlens.stats import Interval
from tests.pairs.exchange.results import pair_exchange

EVIL = "<script>alert('x')</script>"


def share(value: float) -> Interval:
    return Interval(value, value - 0.05, value + 0.07, 100)


def exchange_line(when: float = 0.8, labelled: float = 1.0) -> EvidenceLine:
    """The line of an exchange with this when-share."""
    return line_of_exchange(pair_exchange(when), share(labelled), "100 problems", 0.9875)


def other_line(piece: str, *findings: str) -> EvidenceLine:
    """A line of another piece that came to these findings."""
    readings = (
        LineReading(name=EVIL, role="figure", share=share(0.4), unit=EVIL),
        LineReading(name="guesses", role="chance", share=Interval(0.1, n=100), unit=EVIL),
    )
    return EvidenceLine(
        piece=piece,
        title=f"What is {EVIL}?",
        size=f"100 {EVIL}",
        readings=readings,
        says=EVIL,
        decides=f"Nothing. {EVIL}",
        findings=findings,
        verdict=None,
        folder=f"{piece}/{EVIL}",
    )


def climb(piece: str, state: str = "done", reason: str = "", rung: int = 0) -> Climb:
    """A rung that took 12 s."""
    return Climb(
        piece=piece,
        rung=rung,
        size=f"{rung} {EVIL}",
        state=state,
        estimate_seconds=nan if rung == 0 else 30.0,
        seconds=nan if state == "left out" else 12.0,
        reason=reason,
    )


def verdict_result() -> VerdictResult:
    """Two lines, a piece that failed, and one that did not fit."""
    return VerdictResult(
        pair=EVIL,
        base=EVIL,
        thinking=EVIL,
        lines=(exchange_line(), other_line("passk", "ahead")),
        climbs=(
            climb("exchange"),
            climb("passk"),
            climb("profile", "failed", f"no sentence of {EVIL} shows a behaviour"),
            climb("exchange", "left out", rung=1),
            climb("hybrid", "left out"),
        ),
        looks=(Look(n_problems=50, level=0.975), Look(n_problems=100, level=0.9875)),
        truth=share(0.9),
        settings=VerdictSettings(),
    )
