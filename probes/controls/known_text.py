"""Find what could be known at the last token that is read: the place in the response, and the words so far.

A read ends inside the span ("first"), with it ("mean", "last") or before it ("before:1"). Whatever follows the end of
the read is left out: the rest of the span and its length, the rest of the response and its length.

    place     characters before the span, labelled spans before it; for a read inside it, characters and words of it
    words     of the span as far as it is read; if the read begins before it, also as many words before it as tokens of
              them are read (a token is at most one word); for a read before it, of the text before (`Example.before`)
    first     the first word of those; for a read before the span, the last word before it
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from ...activations import Example, Read

WORD = re.compile(r"\w+")
Texts: TypeAlias = list[str]


def is_inside(read: Read) -> bool:
    """Check whether a read takes a token of the span itself."""
    return read.last_only or read.end is None or read.end > 0


def begins_before(read: Read) -> bool:
    """Check whether a read takes tokens before the span."""
    return not read.last_only and read.begin < 0


def places(examples: Sequence[Example], read: Read) -> Float[np.ndarray, "n_examples n_features"]:
    """Describe how far the response was when the read ended.

    Args:
        examples: The spans.
        read: The tokens that are read.

    Returns:
        Characters and labelled spans before the span that had begun by the end of the read; for reads inside the span
        also the characters and words of it that were read.
    """
    starts: dict[str, list[int]] = {}
    for example in sorted(examples, key=lambda example: example.start):
        starts.setdefault(example.trace, []).append(example.start)
    rows = []
    for example in examples:
        begin = min(example.start, example.known_end)
        row = [begin, bisect_left(starts[example.trace], begin)]
        if is_inside(read):
            row += [len(example.text_read), len(example.text_read.split())]
        rows.append(row)
    return np.array(rows, dtype=np.float64)


def words_read(examples: Sequence[Example], read: Read) -> Texts:
    """Return the words read so far: those of the span, with those before it that are read; or the text before it."""
    if not is_inside(read):
        return [example.before for example in examples]
    if not begins_before(read):
        return [example.text_read for example in examples]
    return [_last_words(example.before, -read.begin) + example.text_read for example in examples]


def first_words(examples: Sequence[Example], read: Read) -> Texts:
    """Return the first word of each span as far as it is read, or the last word before it; without case."""
    words = [WORD.findall(example.text_read if is_inside(read) else example.before) for example in examples]
    place = 0 if is_inside(read) else -1
    return [known[place].casefold() if known else "" for known in words]


def _last_words(text: str, n: int) -> str:
    """Cut off all but the last words, with the blanks around them."""
    words = list(re.finditer(r"\S+", text))
    return text[words[-n].start() :] if len(words) > n else text
