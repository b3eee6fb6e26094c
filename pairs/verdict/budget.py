"""Spend a budget of time on pieces of evidence: which is measured next, at which size, and what no longer fits.

Rungs of all pieces are climbed in their order, each after the one below it, if its time fits in what is left:

    time = work of the rung x seconds of a unit of work

The unit is what the piece's last rung took; before its first one, the trial, the dearest unit of the other pieces. So
the estimates are of this pair on this machine, and get better as sizes grow. Only time decides, never what was found.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Literal

from ...rundir import InputError, brief
from .piece import Piece, Rung

logger = logging.getLogger(__name__)

DONE, FAILED, LEFT_OUT = "done", "failed", "left out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Climb:
    """A rung, and what became of it.

    Attributes:
        piece: Name of the piece.
        rung: Its number, from 0.
        size: How much it measures, in words.
        state: `done`, `failed`, or `left out`: it did not fit.
        estimate_seconds: That it was thought to take; NaN: nothing was known.
        seconds: That it took; NaN where it was left out.
        reason: Why it failed.
    """

    piece: str
    rung: int
    size: str
    state: Literal["done", "failed", "left out"]
    estimate_seconds: float
    seconds: float
    reason: str = ""

    __repr__ = brief


def in_order(pieces: Mapping[str, Piece]) -> list[tuple[Piece, int, Rung]]:
    """List the rungs of all pieces, those first that add most."""
    rungs = [(piece, number, rung) for piece in pieces.values() for number, rung in enumerate(piece.rungs)]
    return sorted(rungs, key=lambda one: one[2].order)


def estimate(pieces: Mapping[str, Piece], climbs: Sequence[Climb], piece: Piece, rung: Rung) -> float:
    """Estimate how long a rung will take.

    Args:
        pieces: All of them.
        climbs: What was climbed so far.
        piece: Whose rung it is.
        rung: The rung.

    Returns:
        Seconds; NaN where nothing was measured yet.
    """
    units: dict[str, float] = {}
    for climb in climbs:
        if climb.state == DONE and climb.piece in pieces:
            units[climb.piece] = climb.seconds / pieces[climb.piece].rungs[climb.rung].work
    unit = units.get(piece.name, max(units.values(), default=nan))
    return rung.work * unit


def next_rung(
    pieces: Mapping[str, Piece], climbs: Sequence[Climb], left_seconds: float
) -> tuple[Piece, int, float] | None:
    """Choose what is measured next.

    Args:
        pieces: All of them.
        climbs: What was climbed so far.
        left_seconds: Of the budget.

    Returns:
        Piece, number of its rung, and the estimate; None where nothing fits.
    """
    if left_seconds <= 0:
        return None
    failed = {climb.piece for climb in climbs if climb.state == FAILED}
    for piece, number, rung in in_order(pieces):
        if piece.name in failed or number != _height(climbs, piece):
            continue
        seconds = estimate(pieces, climbs, piece, rung)
        if not seconds > left_seconds:
            return piece, number, seconds
    return None


def plan(pieces: Mapping[str, Piece], climbs: Sequence[Climb], left_seconds: float) -> list[Climb]:
    """Say what will be measured as far as is known now, and what does not fit.

    Args:
        pieces: All of them.
        climbs: What was climbed so far.
        left_seconds: Of the budget.

    Returns:
        The rungs to come in the order in which they will be climbed, then those that are left out.
    """
    ahead = list(climbs)
    planned = []
    while (chosen := next_rung(pieces, ahead, left_seconds)) is not None:
        piece, number, seconds = chosen
        known = 0.0 if seconds != seconds else seconds
        step = Climb(
            piece=piece.name,
            rung=number,
            size=piece.rungs[number].size,
            state="done",
            estimate_seconds=seconds,
            seconds=known,
        )
        planned.append(step)
        if seconds != seconds:
            return planned  # nothing is known before the first trial
        ahead.append(step)
        left_seconds -= seconds
    return [*planned, *left_out(pieces, ahead)]


def left_out(pieces: Mapping[str, Piece], climbs: Sequence[Climb]) -> list[Climb]:
    """List the rungs that were not climbed, with the time that each would take.

    Args:
        pieces: All of them.
        climbs: What was climbed.

    Returns:
        The next rung of each piece and those above, of pieces that did not fail.
    """
    failed = {climb.piece for climb in climbs if climb.state == FAILED}
    return [
        Climb(
            piece=piece.name,
            rung=number,
            size=rung.size,
            state="left out",
            estimate_seconds=estimate(pieces, climbs, piece, rung),
            seconds=nan,
        )
        for piece, number, rung in in_order(pieces)
        if piece.name not in failed and number >= _height(climbs, piece)
    ]


def climb_all(
    pieces: Mapping[str, Piece],
    climbs: Sequence[Climb],
    budget_seconds: float,
    clock: Callable[[], float],
    measure: Callable[[Piece, int], None],
) -> Iterator[list[Climb]]:
    """Measure pieces until nothing more fits in the budget.

    Args:
        pieces: All of them.
        climbs: What an earlier call has done, whose time counts; what failed is tried again.
        budget_seconds: For all of it.
        clock: Tells seconds.
        measure: Measures a piece at a rung; what it refuses (`InputError`) becomes the reason why the piece is lacking.

    Yields:
        What was climbed so far, after each rung.
    """
    climbs = [climb for climb in climbs if climb.state == DONE]
    has_plan = False
    while True:
        left = budget_seconds - sum(climb.seconds for climb in climbs)
        chosen = next_rung(pieces, climbs, left)
        if chosen is None:
            return
        piece, number, seconds = chosen
        if not has_plan and (number > 0 or len(climbs) > len(pieces)):  # trials are over
            has_plan = True
            for line in in_words(plan(pieces, climbs, left)):
                logger.info(line)
        state: Literal["done", "failed"] = "done"
        reason = ""
        start = clock()
        try:
            measure(piece, number)
        except InputError as error:
            state, reason = "failed", str(error)
        elapsed = clock() - start
        size = piece.rungs[number].size
        climbs.append(
            Climb(
                piece=piece.name,
                rung=number,
                size=size,
                state=state,
                estimate_seconds=seconds,
                seconds=elapsed,
                reason=reason,
            )
        )
        about = f", about {duration(seconds)} were expected" if seconds == seconds else ""
        logger.info(f"{piece.name}, {size}: {duration(elapsed)}{about}" + (f"; failed: {reason}" if reason else ""))
        yield list(climbs)


def in_words(climbs: Sequence[Climb]) -> list[str]:
    """Say what is planned, a line for each rung."""
    return [
        f"plan: {climb.piece}, {climb.size}: about {duration(climb.estimate_seconds)}"
        + (", does not fit" if climb.state == LEFT_OUT else "")
        for climb in climbs
    ]


def duration(seconds: float) -> str:
    """Write a time.

    Args:
        seconds: The time; NaN: not known.

    Returns:
        Such as "45 s" or "12 min".
    """
    if seconds != seconds:
        return "an unknown time"
    if seconds < 99.5:
        return f"{seconds:.0f} s" if seconds >= 9.95 else f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5970 else f"{seconds / 3600:.1f} h"


def _height(climbs: Sequence[Climb], piece: Piece) -> int:
    return sum(climb.piece == piece.name and climb.state == DONE for climb in climbs)
