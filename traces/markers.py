"""Check whether a sentence holds a tell-tale word of a behaviour of the bundled set.

A probe that scores well only on sentences with "wait" has found a word, not a behaviour. Every result is therefore also
reported on sentences without any marker of the behaviour. A sentence is `marked` for a behaviour if it holds one of its
markers as a whole word, in upper or lower case, whatever the word means there. The words stand in
`behaviour_sets/bundled.yaml`.
"""

from __future__ import annotations

import re
from functools import cache

from .behaviour_sets import open_behaviour_set

BEHAVIOURS = open_behaviour_set("bundled").names
MARKERS = open_behaviour_set("bundled").words


def pattern_of(word: str) -> str:
    """Write a word or phrase as a regular expression, with any white space between its words."""
    return re.escape(word).replace(r"\ ", r"\s+")


@cache
def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(pattern_of, words))})(?!\w)", re.IGNORECASE)


def holds_word(text: str, words: tuple[str, ...]) -> bool | None:
    """Check whether a text holds one of some words as a whole word; None where there are no words."""
    return bool(_pattern(words).search(text)) if words else None


def is_marked(text: str, behaviour: str) -> bool | None:
    """Check whether a text holds a tell-tale word of a behaviour.

    Args:
        text: The text.
        behaviour: A key of `MARKERS`, or any other behaviour.

    Returns:
        Whether it does; None for a behaviour without a list of such words.
    """
    return holds_word(text, MARKERS.get(behaviour, ()))


def first_marker(text: str, behaviour: str) -> str | None:
    """Find the first marker of `behaviour` in `text`, in lower case with single spaces.

    None if there is no marker, or no list of markers for the behaviour.
    """
    match = _pattern(MARKERS[behaviour]).search(text) if behaviour in MARKERS else None
    return " ".join(match.group().casefold().split()) if match else None
