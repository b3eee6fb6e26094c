"""Define annotators, functions that label a whole response, and one that labels by tell-tale words.

An annotator takes a prompt and a response and returns the labelled spans of the response, in order. It labels a
sentence by itself and the text before it, never by what follows, so that a response may be cut off anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from .markers import MARKERS
from .sentences import segment
from .thoughts import thoughts_of
from .trace import Span

# A new annotator is one function of this type: (prompt, text) -> the labelled spans of the text.
Annotator = Callable[[str, str], Sequence[Span]]

# A word of two behaviours belongs to the first one.
BEHAVIOUR_OF = {word: behaviour for behaviour in reversed(MARKERS) for word in MARKERS[behaviour]}
LONGEST_FIRST = sorted((re.escape(word).replace(r"\ ", r"\s+") for word in BEHAVIOUR_OF), key=len, reverse=True)
MARKER = re.compile(rf"(?<!\w)(?:{'|'.join(LONGEST_FIRST)})(?!\w)", re.IGNORECASE)


def keyword_annotator(prompt: str, text: str) -> list[Span]:
    """Label the sentences that hold a tell-tale word with its behaviour.

    Of several such words the one that begins first decides ("So wait" is deduction), and of two that begin together
    the longer. Sentences without one get no span. Sentences of one or two words count here ("Wait."). Such labels are
    cheap and weak: most boundaries found in this way do not reproduce on regeneration (arXiv 2604.02113).

    Args:
        prompt: Not used.
        text: The response.

    Returns:
        The labelled spans, in order.
    """
    spans = []
    for start, end in segment(text, min_words=1):
        match = MARKER.search(text, start, end)
        if match:
            word = " ".join(match.group().lower().split())
            spans.append(Span(start, end, BEHAVIOUR_OF[word], marked=True))
    return spans


def within_thoughts(annotator: Annotator) -> Annotator:
    """Restrict an annotator to the thoughts of a response.

    Args:
        annotator: The annotator; it still reads the whole response.

    Returns:
        An annotator that leaves out every span outside the thoughts; of a response without tags it keeps all.
    """

    def restricted(prompt: str, text: str) -> Sequence[Span]:
        spans, place = annotator(prompt, text), thoughts_of(text)
        if place is None:
            return spans
        return [span for span in spans if place[0] <= span.start and span.end <= place[1]]

    name = getattr(annotator, "__qualname__", type(annotator).__qualname__)
    restricted.__module__, restricted.__qualname__ = annotator.__module__, f"within_thoughts({name})"
    return restricted
