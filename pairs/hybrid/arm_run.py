"""What one arm wrote on the test problems, and what was done to its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...rundir import brief
from .record import RowRecord
from .through import Through


@dataclass(frozen=True, eq=False, kw_only=True)
class ArmRun:
    """The responses of one arm, several times over where it has seeds."""

    name: str
    records: tuple[tuple[RowRecord, ...], ...]  # for each seed, for each problem
    is_solved: tuple[tuple[bool | None, ...], ...]  # None: cannot be told
    answered_in_thoughts: tuple[tuple[bool, ...], ...]  # in a box of thoughts that never ended

    __repr__ = brief


def steered_strengths(records: Sequence[RowRecord], through: Through | None = None) -> list[float]:
    """List the strengths of all tokens that were steered, in order.

    Args:
        records: Of responses.
        through: How long doses lasted: tokens that go on with an earlier dose are left out. None lists all.
    """
    return [
        strength
        for record in records
        for strength, behaviour, is_first in zip(
            record.strength, record.behaviour, _first_tokens(record, through), strict=True
        )
        if behaviour >= 0 and strength != 0 and is_first
    ]


def gated_share(records: Sequence[RowRecord]) -> float:
    """Compute the share of all tokens at which the gate was open."""
    return sum(record.n_gated for record in records) / max(sum(record.n_tokens for record in records), 1)


def opening_share(records: Sequence[RowRecord], through: Through | None) -> float:
    """Compute the share of the tokens at which the gate was asked, that is amid no dose, at which it opened.

    Args:
        records: Of responses.
        through: How long doses lasted; None: the gate was asked at every token.
    """
    n_opened = sum(sum(_first_tokens(record, through)) for record in records)
    n_gone_on = sum(record.n_gated for record in records) - n_opened
    return n_opened / max(sum(record.n_tokens for record in records) - n_gone_on, 1)


def _first_tokens(record: RowRecord, through: Through | None) -> Sequence[bool]:
    return record.gated if through is None else through.openings(record.tokens, record.gated)
