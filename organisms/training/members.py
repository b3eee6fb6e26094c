"""The members of a family: its bases with what each of them lacks, and the models that are trained from them.

Timing is lacking by the share of poor habits mixed into the ideal ones, skill by how often a weak hue is said
rightly. Nine bases go from a lack of timing alone to a lack of skill alone; both ways of training are tried on all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ...rundir import brief
from ..language import Move
from ..machine import State
from ..policy import Habits, Writer, mixed

Training = Literal["pre-train", "adapt", "rl", "sft", "format", "one-example", "random", "collapse"]

MISSING = 0.125  # a code at chance
# Name of what is lacking -> share of poor habits, probability that a weak hue is said rightly.
DEFICITS: dict[str, tuple[float, float]] = {
    "timing": (0.5, 1.0),
    "graded-2": (0.5, 0.9),
    "graded-3": (0.4, 0.8),
    "graded-4": (0.3, 0.8),
    "both": (0.3, 0.7),
    "graded-6": (0.2, 0.6),
    "graded-7": (0.1, 0.7),
    "graded-8": (0.1, 0.5),
    "skill": (0.01, 0.55),
    "missing": (0.01, MISSING),
    "none": (0.04, 1.0),
}
GRADED: tuple[str, ...] = tuple(DEFICITS)[:9]


def _with(habits: Habits, state: State, rates: Mapping[Move, float]) -> Habits:
    return replace(habits, moves={**habits.moves, state: rates})


# Two bases alike but for which move is the most frequent in one state: the good one, or the poor one.
_COMMON = mixed(0.3)
FREQUENT: dict[str, Writer] = {
    "frequent-good": Writer(_with(_COMMON, "found", {"check": 0.60, "accept": 0.35, "back": 0.03, "doubt": 0.02})),
    "frequent-poor": Writer(_with(_COMMON, "found", {"check": 0.35, "accept": 0.60, "back": 0.03, "doubt": 0.02})),
}
TRUNK = "trunk"
BASES: dict[str, Writer] = {
    **{f"base-{name}": Writer(mixed(share), right) for name, (share, right) in DEFICITS.items()},
    **{f"base-{name}": writer for name, writer in FREQUENT.items()},
}


@dataclass(frozen=True, slots=True)
class Member:
    """One model of a family: what it is trained from, and how."""

    parent: str | None
    training: Training

    __repr__ = brief


def _members() -> dict[str, Member]:
    """List the members, parents first."""
    members = {TRUNK: Member(None, "pre-train"), **{name: Member(TRUNK, "adapt") for name in BASES}}
    for name in DEFICITS:
        if name != "none":
            members[f"rl-{name}"] = Member(f"base-{name}", "rl")
            members[f"sft-{name}"] = Member(f"base-{name}", "sft")
    members |= {f"random-{name}": Member(f"base-{name}", "random") for name in FREQUENT}
    members |= {
        "format-timing": Member("base-timing", "format"),
        "one-example-timing": Member("base-timing", "one-example"),
        "collapse-timing": Member("base-timing", "collapse"),
    }
    return members


MEMBERS: dict[str, Member] = _members()
