"""Split a response into sentences, as the published taxonomies do.

A sentence ends after . ! ? or ; and at a newline. The points of decimals, abbreviations and list numbers do not end
one. Tags around thoughts (`<think>`) end a sentence and belong to none. Fewer than three words are no sentence (arXiv
2510.07364).
"""

from __future__ import annotations

import re

from ..rundir import text_of, whole_number
from .thoughts import TAG

NEVER_LAST = {"e.g", "i.e", "vs", "cf", "mr", "mrs", "ms", "dr", "prof", "st", "approx"}
LAST_BEFORE_A_CAPITAL = {"etc", "al", "a.m", "p.m", "u.s"}  # "etc. The" ends a sentence, "etc. and" does not
BEFORE_A_NUMBER = {"no", "fig", "eq", "sec", "vol", "p", "pp", "jan", "feb", "aug", "sept", "oct", "nov", "dec"}
END = re.compile(r"[.!?;]+[\"'”’)\]*]*(?=\s|$)|\n+")
NEXT_LETTER = re.compile(r"\S")


def segment(text: str, min_words: int = 3) -> list[tuple[int, int]]:
    """Find the sentences of a text.

    Args:
        text: The text.
        min_words: Pieces with fewer words ("Wait.") are left out.

    Returns:
        The characters [start, end) of each sentence, in order, without surrounding white space.

    Raises:
        InputError: The text is no text, or `min_words` no whole number of at least 0.
    """
    text_of(text, "text")
    whole_number(min_words, "min_words", 0)
    ranges: list[tuple[int, int]] = []
    ends = [(match.end(), match.end()) for match in END.finditer(text) if _ends_sentence(text, match)]
    start = 0
    for end, next_start in sorted([*ends, *(match.span() for match in TAG.finditer(text)), (len(text), len(text))]):
        piece = text[start:end]
        if len(piece.split()) >= min_words:
            first = start + len(piece) - len(piece.lstrip())
            ranges.append((first, start + len(piece.rstrip())))
        start = max(start, next_start)
    return ranges


def _ends_sentence(text: str, end: re.Match[str]) -> bool:
    if end.group() != ".":
        return True
    start = end.start()
    while start and (text[start - 1].isalnum() or text[start - 1] in "_."):
        start -= 1
    word = text[start : end.start()].lower()
    if not word:
        return True
    next_letter = NEXT_LETTER.search(text, end.end())
    following = next_letter.group() if next_letter else ""
    if word.isdigit() and _begins_line(text, start):
        return False  # "1." opens a list item
    if word in BEFORE_A_NUMBER:
        return not following.isdigit()
    if word in LAST_BEFORE_A_CAPITAL:
        return not following or following.isupper()
    return word not in NEVER_LAST


def _begins_line(text: str, place: int) -> bool:
    while place and text[place - 1].isspace() and text[place - 1] != "\n":
        place -= 1
    return not place or text[place - 1] == "\n"
