"""Define annotators, functions that label a whole response, and one that labels by tell-tale words.

An annotator takes a prompt and a response and returns the labelled spans of the response, in order. It labels a
sentence by itself and the text before it, never by what follows, so that a response may be cut off anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..rundir import InputError, brief
from .behaviour_sets import BehaviourSet, open_behaviour_set
from .markers import pattern_of
from .sentences import segment
from .thoughts import thoughts_of
from .trace import Span

# A new annotator is one function of this type: (prompt, text) -> the labelled spans of the text.
Annotator = Callable[[str, str], Sequence[Span]]


@dataclass(frozen=True)
class KeywordAnnotator:
    """An annotator that labels the sentences which hold a tell-tale word with its behaviour.

    Of several such words the one that begins first decides ("So wait" is deduction), and of two that begin together
    the longer. A word of two behaviours belongs to the first one. Sentences without a word get no span. Sentences of
    one or two words count here ("Wait."). Such labels are cheap and weak: most boundaries found in this way do not
    reproduce on regeneration (arXiv 2604.02113). A set without any words raises InputError.
    """

    behaviours: BehaviourSet = field(default_factory=lambda: open_behaviour_set("bundled"))
    behaviour_of: dict[str, str] = field(init=False, repr=False, compare=False)  # word -> its behaviour
    _pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        words = self.behaviours.words
        behaviour_of = {word: name for name in reversed(self.behaviours.names) for word in words[name]}
        if not behaviour_of:
            raise InputError(
                f"the behaviour set {self.behaviours.name!r:.60} has no tell-tale words, by which keywords label: give "
                "its behaviours `words`, or take another annotator"
            )
        longest_first = sorted((pattern_of(word) for word in behaviour_of), key=len, reverse=True)
        pattern = re.compile(rf"(?<!\w)(?:{'|'.join(longest_first)})(?!\w)", re.IGNORECASE)
        name = f"{type(self).__qualname__}({self.behaviours.name}, {self.behaviours.digest})"
        for attribute, value in (("behaviour_of", behaviour_of), ("_pattern", pattern), ("__qualname__", name)):
            object.__setattr__(self, attribute, value)

    def __call__(self, prompt: str, text: str) -> list[Span]:
        """Label a response.

        Args:
            prompt: Not used.
            text: The response.

        Returns:
            The labelled spans, in order.
        """
        spans = []
        for start, end in segment(text, min_words=1):
            match = self._pattern.search(text, start, end)
            if match:
                word = " ".join(match.group().lower().split())
                spans.append(Span(start, end, self.behaviour_of[word], marked=True))
        return spans

    __repr__ = brief


keyword_annotator = KeywordAnnotator()


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
