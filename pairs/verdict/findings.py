"""What a line of evidence may come to that bears on the sentence, and which sentences it agrees with or contradicts.

The sentence is read off the exchange. Another line can agree, disagree or be silent, and which of these follows from
the sentence's headline and the names of the line's findings alone (docs/verdicts.md). A new finding is one entry.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...rundir import brief
from ..exchange.reading import (
    BOTH,
    HOW_AND_PERHAPS_WHEN,
    HOW_AT_A_COST,
    HOW_LITTLE_WHEN,
    MORE_HOW,
    MORE_WHEN,
    NO_GAP,
    WHEN_AND_PERHAPS_HOW,
    WHEN_AT_A_COST,
    WHEN_LITTLE_HOW,
    WORSE,
)

MOSTLY_WHEN = frozenset({WHEN_AT_A_COST, WHEN_LITTLE_HOW, MORE_WHEN})
SURELY_WHEN = MOSTLY_WHEN | {BOTH, WHEN_AND_PERHAPS_HOW}
NO_WHEN = frozenset({HOW_AT_A_COST, HOW_LITTLE_WHEN})
MOSTLY_HOW = NO_WHEN | {MORE_HOW}
SHARED_OUT = SURELY_WHEN | MOSTLY_HOW | {HOW_AND_PERHAPS_WHEN}
NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a line came to.

    Attributes:
        words: The finding, in the middle of a sentence.
        agrees: Headlines that it speaks for.
        disagrees: Headlines that it speaks against.
    """

    words: str
    agrees: frozenset[str] = NONE
    disagrees: frozenset[str] = NONE

    __repr__ = brief


AHEAD, BEHIND, OUT_OF_REACH = "ahead", "behind", "out of reach"
STEERED_MOST, STEERED_PART = "steered most", "steered part"
UNLABELLED = "unlabelled"

FINDINGS: dict[str, Finding] = {
    AHEAD: Finding(
        words="at the first attempt the thinking model surely solves more than the base",
        disagrees=frozenset({NO_GAP, WORSE}),
    ),
    BEHIND: Finding(
        words="at the first attempt the thinking model surely solves less than the base",
        agrees=frozenset({WORSE}),
        disagrees=SHARED_OUT | {NO_GAP},
    ),
    OUT_OF_REACH: Finding(
        words="with all its samples the base surely solves less than a quarter of what the thinking model solves at "
        "the first attempt",
        disagrees=MOSTLY_WHEN,
    ),
    STEERED_MOST: Finding(
        words="steered when the thinking model would act otherwise the base recovers most of the gap, and with no "
        "control",
        agrees=SURELY_WHEN,
        disagrees=MOSTLY_HOW,
    ),
    STEERED_PART: Finding(
        words="steered when the thinking model would act otherwise the base recovers a part of the gap, and little or "
        "none of that with any control",
        agrees=SURELY_WHEN,
        disagrees=NO_WHEN,
    ),
    UNLABELLED: Finding(words="most responses of the thinking model show no behaviour that the labeller knows"),
}
