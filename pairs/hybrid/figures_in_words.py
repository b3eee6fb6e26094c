"""Write figures of hybrids in words, for the sentences of verdicts."""

from __future__ import annotations

from math import nan

from ..verdict_sentence import Deciding
from .evidence import Evidence
from .measure import ArmResult


def deciding(arm: ArmResult, figure: str) -> Deciding:
    """Take a figure of an arm with the ends of its interval, NaN where it has none."""
    value, low, high = (float(getattr(arm, f"{figure}{end}", nan)) for end in ("", "_low", "_high"))
    return Deciding(arm.arm, figure, value, low, high)


def deciding_both(evidence: Evidence, arm: ArmResult) -> tuple[Deciding, ...]:
    """Take what compares the hybrid with another arm: what both recover, and the paired difference."""
    return deciding(evidence.hybrid, "gap"), deciding(arm, "gap"), deciding(arm, "behind")


def recovered(evidence: Evidence) -> str:
    """Say how much of the gap the hybrid recovers, with how many tokens steered."""
    hybrid = evidence.hybrid
    return f"the hybrid recovers {ends(hybrid, 'gap')} of the gap with {hybrid.steered:.1%} of tokens steered"


def against(evidence: Evidence, arm: ArmResult) -> str:
    """Say how much hybrid and another arm recover, and by how much accuracy the hybrid is ahead."""
    ahead = f"the hybrid solves {ends(arm, 'behind')} more"
    return f"{recovered(evidence)}, {arm.arm} {ends(arm, 'gap')}; of all questions {ahead}"


def ends(arm: ArmResult, figure: str) -> str:
    """Write a figure of an arm with the ends of its interval."""
    one = deciding(arm, figure)
    return f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]"
