"""Hold what is concluded about a pair: a sentence, the figures that decided it, and what would have refuted it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..rundir import brief
from ..stats import Interval, without_nan


@dataclass(frozen=True, slots=True)
class Deciding:
    """A figure that decided a verdict; ends are NaN where it has none."""

    arm: str  # or cell, of an exchange
    figure: str  # name of the field of its result; in a hybrid, behind: accuracy of the hybrid above this arm's
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


def deciding_interval(arm: str, figure: str, interval: Interval) -> Deciding:
    """Take a figure that is an interval.

    Args:
        arm: Arm or cell that it is of.
        figure: Its name.
        interval: The figure.
    """
    return Deciding(arm, figure, interval.value, interval.low, interval.high)


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
