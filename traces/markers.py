"""The words that give a behaviour away, and whether a sentence holds one.

A probe that scores well only where "wait" stands has found a word, not a behaviour. So every result is also given on
sentences without any marker of the behaviour. A sentence is `marked` for a behaviour if it holds one of these as a
whole word, in any case; whether the word does its usual work there does not matter.
"""

from __future__ import annotations

import re
from functools import cache

BEHAVIOURS = (
    "initializing",
    "deduction",
    "adding-knowledge",
    "example-testing",
    "uncertainty-estimation",
    "backtracking",
    "subgoal-setting",
    "verification",
)

MARKERS: dict[str, tuple[str, ...]] = {
    "initializing": ("okay", "ok", "alright", "problem", "question", "asked", "asks", "asking", "given"),
    "deduction": ("so", "therefore", "thus", "hence", "means", "follows", "gives"),
    "adding-knowledge": ("recall", "remember", "know", "known", "formula", "rule", "definition", "theorem"),
    "example-testing": ("example", "try", "suppose", "say", "test", "instance", "imagine", "consider"),
    "uncertainty-estimation": (
        *("maybe", "perhaps", "probably", "might", "sure", "think", "seems", "guess", "confident", "doubt"),
    ),
    "backtracking": ("wait", "actually", "hmm", "no", "hold on", "oops", "scratch that"),
    "subgoal-setting": ("first", "next", "then", "need", "let", "goal", "step", "want", "plan"),
    "verification": (*("check", "verify", "confirm", "double-check", "sanity", "consistent", "matches", "agrees"),),
}


@cache
def _pattern(behaviour: str) -> re.Pattern[str]:
    words = "|".join(re.escape(word).replace(r"\ ", r"\s+") for word in MARKERS[behaviour])
    return re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE)


def is_marked(text: str, behaviour: str) -> bool | None:
    """Whether `text` holds a marker of `behaviour`; None for a behaviour without a list of markers."""
    return bool(_pattern(behaviour).search(text)) if behaviour in MARKERS else None


def first_marker(text: str, behaviour: str) -> str | None:
    """The marker of `behaviour` that stands first in `text`, in lower case with single spaces; None without one.

    None too for a behaviour without a list of markers.
    """
    found = _pattern(behaviour).search(text) if behaviour in MARKERS else None
    return " ".join(found.group().casefold().split()) if found else None
