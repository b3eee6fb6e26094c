"""Annotators: functions that label a whole response, and the one that goes by tell-tale words.

An annotator takes a prompt and a response and gives the labelled spans of the response, in order. It judges a sentence
in the light of what was said before it, never of what comes after, so that a response may break off anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from .markers import MARKERS
from .sentences import segment
from .trace import Span

# A new annotator is one function of this type: (prompt, text) -> the labelled spans of the text.
Annotator = Callable[[str, str], Sequence[Span]]

# A word that stood for two behaviours would be the first one's.
BEHAVIOUR_OF = {word: behaviour for behaviour in reversed(MARKERS) for word in MARKERS[behaviour]}
LONGEST_FIRST = sorted((re.escape(word).replace(r"\ ", r"\s+") for word in BEHAVIOUR_OF), key=len, reverse=True)
MARKER = re.compile(rf"(?<!\w)(?:{'|'.join(LONGEST_FIRST)})(?!\w)", re.IGNORECASE)


def keyword_annotator(prompt: str, text: str) -> list[Span]:
    """The sentences of `text` that hold a tell-tale word, each labelled with its behaviour; the prompt is not used.

    Of several such words the one that begins first decides ("So wait" is deduction), and of two that begin together
    the longer. Sentences without one get no span. Sentences of one or two words count here ("Wait."). Such labels are
    cheap and weak: most boundaries found in this way do not reproduce on regeneration (arXiv 2604.02113).
    """
    spans = []
    for start, end in segment(text, min_words=1):
        found = MARKER.search(text, start, end)
        if found:
            word = " ".join(found.group().lower().split())
            spans.append(Span(start, end, BEHAVIOUR_OF[word], marked=True))
    return spans
