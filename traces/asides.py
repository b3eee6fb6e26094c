"""Leave out of a response what its writer adds to the answer: checks, notes, and what something said amounts to."""

from __future__ import annotations

import re

from .target import SENTENCE_END

_CHECK = re.compile(
    r"\W*(?:(?:let me|let's|let us|we can|we|i|to|now)\s+(?:\w+\s+)?)?(?:double[- ])?"
    r"(?:check|checking|verify|verifying|verification|confirm)\b",
    re.IGNORECASE,
)
_NOTE = re.compile(
    r"\W*(?:note|remember|for reference|by the way|in other words|(?:that|this|which) means|"
    r"(?:that is|that's)(?!\s+(?:all|why|the|a total)|\s+\W?[\d.,]+\D*$))\b",
    re.IGNORECASE,
)
_REVISION = re.compile(
    r"\b(?:wait|actually|mistake|wrong|incorrect|oops|instead|answer|therefore|thus|hence)\b|\bno,|"
    r"\bso\s+(?!this\b|that\b|it\b)",
    re.IGNORECASE,
)


def without_asides(text: str) -> str:
    """Leave out the check and the notes that a text ends with.

    Args:
        text: A response, made plain.

    Returns:
        What stands before them. A check or note that revises ("wait", "so he has 5") is none.
    """
    starts = [0, *(match.end() for match in SENTENCE_END.finditer(text)), len(text)]
    sentences = [text[start:end] for start, end in zip(starts, starts[1:], strict=False)]
    for index in range(1, len(sentences)):
        if _CHECK.match(sentences[index]) and not any(map(_REVISION.search, sentences[index:])):
            sentences = sentences[:index]
            break
    while len(sentences) > 1 and _NOTE.match(sentences[-1]) and not _REVISION.search(sentences[-1]):
        sentences.pop()
    return "".join(sentences)
