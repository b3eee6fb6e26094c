"""List the tell-tale words of each behaviour, and check whether a sentence holds one.

A probe that scores well only on sentences with "wait" has found a word, not a behaviour. Every result is therefore also
reported on sentences without any marker of the behaviour. A sentence is `marked` for a behaviour if it holds one of its
markers as a whole word, in upper or lower case, whatever the word means there.
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
    """Check whether a text holds a tell-tale word of a behaviour.

    Args:
        text: The text.
        behaviour: A key of `MARKERS`, or any other behaviour.

    Returns:
        Whether it does; None for a behaviour without a list of such words.
    """
    return bool(_pattern(behaviour).search(text)) if behaviour in MARKERS else None


def first_marker(text: str, behaviour: str) -> str | None:
    """Find the first marker of `behaviour` in `text`, in lower case with single spaces.

    None if there is no marker, or no list of markers for the behaviour.
    """
    match = _pattern(behaviour).search(text) if behaviour in MARKERS else None
    return " ".join(match.group().casefold().split()) if match else None
