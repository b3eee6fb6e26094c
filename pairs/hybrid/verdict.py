"""Hold a verdict about a pair: a sentence, the figures that decided it, and what would have refuted it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import nan
from typing import Any

from ...rundir import brief
from ...stats import without_nan
from .evidence import Evidence
from .measure import ArmResult


@dataclass(frozen=True, slots=True)
class Deciding:
    """A figure that decided a verdict; ends are NaN where it has none."""

    arm: str
    figure: str  # gap: gap recovered; behind: accuracy of the hybrid above this arm's; or another field of `ArmResult`
    value: float
    low: float
    high: float

    __repr__ = brief


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A sentence about a pair, with what decided it and what would have refuted it."""

    rule: str  # its name in docs/verdicts.md
    headline: str
    because: str  # the figures in words
    refutable_by: tuple[str, ...]  # the arms, or the control, that would have refuted it, or could settle it
    figures: tuple[Deciding, ...]

    __repr__ = brief

    def __str__(self) -> str:
        return f"{self.headline}: {self.because}."

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, with None for NaN, which JSON lacks."""
        figures = [asdict(figure) for figure in self.figures]
        for row in figures:
            row |= {name: without_nan(row[name]) for name in ("value", "low", "high")}
        return {
            "rule": self.rule,
            "sentence": str(self),
            "refutable_by": list(self.refutable_by),
            "figures": figures,
        }


def conclude(rule: str, headline: str, because: str, refutable_by: tuple[str, ...], *figures: Deciding) -> Verdict:
    """Make a verdict.

    Args:
        rule: The name of the rule that applies.
        headline: What is concluded.
        because: The figures in words.
        refutable_by: What would have refuted it, or could settle it.
        figures: Those that decided.
    """
    return Verdict(rule=rule, headline=headline, because=because, refutable_by=refutable_by, figures=figures)


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
