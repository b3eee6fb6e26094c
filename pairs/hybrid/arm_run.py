"""What one arm wrote on the test problems, and what was done to its tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...rundir import brief
from .record import RowRecord


@dataclass(frozen=True, eq=False, kw_only=True)
class ArmRun:
    """The responses of one arm, several times over where it has seeds."""

    name: str
    records: tuple[tuple[RowRecord, ...], ...]  # for each seed, for each problem
    is_solved: tuple[tuple[bool | None, ...], ...]  # None: cannot be told
    answered_in_thoughts: tuple[tuple[bool, ...], ...]  # in a box of thoughts that never ended

    __repr__ = brief


def steered_strengths(records: Sequence[RowRecord], decay: float = 0.0) -> list[float]:
    """List the strengths of all tokens that were steered, in order.

    Args:
        records: Of responses.
        decay: Of the dose through a sentence (`through.py`): tokens that go on with the dose of the one before are left
            out, so that 0 lists all.
    """
    strengths = []
    for record in records:
        before, earlier = 0.0, -1
        for strength, behaviour in zip(record.strength, record.behaviour, strict=True):
            goes_on = behaviour == earlier and math.isclose(strength, before * decay, rel_tol=1e-4)
            if behaviour >= 0 and strength != 0 and not goes_on:
                strengths.append(strength)
            before, earlier = strength, behaviour
    return strengths


def gated_share(records: Sequence[RowRecord]) -> float:
    """Compute the share of all tokens at which the gate was open."""
    return sum(record.n_gated for record in records) / max(sum(record.n_tokens for record in records), 1)
