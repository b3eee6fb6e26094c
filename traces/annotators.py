"""Define annotators, functions that label a whole response, and one that labels by tell-tale words.

An annotator takes a prompt and a response and returns the labelled spans of the response, in order. It labels a
sentence by itself and the text before it, never by what follows, so that a response may be cut off anywhere.

A sentence annotator labels the sentences of many traces at once, so that a model can read them in batches; any
annotator is made one by `over_sentences`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ..rundir import InputError, brief
from .behaviour_sets import BehaviourSet, open_behaviour_set
from .markers import pattern_of
from .sentences import segment
from .thoughts import thoughts_of
from .trace import Span, Trace

# A new annotator is one function of this type: (prompt, text) -> the labelled spans of the text.
Annotator = Callable[[str, str], Sequence[Span]]

NO_BEHAVIOUR = ""  # the label of a sentence that shows none; what is not known is None


@dataclass(frozen=True, slots=True)
class SegmentedTrace:
    """A trace and the sentences of its text that are labelled."""

    trace: Trace
    sentences: tuple[tuple[int, int], ...]  # characters [start, end) of each, in order

    __repr__ = brief


@dataclass(frozen=True, slots=True)
class SentenceLabels:
    """What an annotator says of the sentences of one trace."""

    labels: tuple[str | None, ...]  # of each sentence; NO_BEHAVIOUR: it shows none; None: not known
    n_malformed: int = 0  # replies that could not be read

    __repr__ = brief


# A new annotator of `label` is one function of this type: it yields the labels of each trace, in their order.
SentenceAnnotator = Callable[[Sequence[SegmentedTrace]], Iterator[SentenceLabels]]


def segmented(trace: Trace, min_words: int = 1, thoughts_only: bool = False) -> SegmentedTrace:
    """Divide a trace into the sentences that are labelled.

    Args:
        trace: The trace.
        min_words: Pieces with fewer words are left out.
        thoughts_only: Leave out what stands outside the thoughts; a response without tags keeps all.

    Returns:
        The trace with its sentences.
    """
    sentences = segment(trace.text, min_words)
    place = thoughts_of(trace.text) if thoughts_only else None
    if place is not None:
        sentences = [(start, end) for start, end in sentences if place[0] <= start and end <= place[1]]
    return SegmentedTrace(trace, tuple(sentences))


def over_sentences(annotator: Annotator) -> SentenceAnnotator:
    """Make an annotator of sentences from one of responses.

    Args:
        annotator: Labels a response, text by text.

    Returns:
        What gives a sentence the label of the span that covers most of it, and at least half of it.
    """

    def labels(documents: Sequence[SegmentedTrace]) -> Iterator[SentenceLabels]:
        for document in documents:
            spans = annotator(document.trace.prompt, document.trace.text)
            yield SentenceLabels(tuple(label_of(sentence, spans) for sentence in document.sentences))

    return labels


def label_of(sentence: tuple[int, int], spans: Sequence[Span]) -> str:
    """Find the label of a sentence among spans.

    Args:
        sentence: Its characters [start, end).
        spans: Labelled spans of the same text.

    Returns:
        The label of the span that covers most of it (the first of several alike), NO_BEHAVIOUR where none covers half.
    """
    start, end = sentence
    best = max(spans, key=lambda span: min(end, span.end) - max(start, span.start), default=None)
    if best is None or 2 * (min(end, best.end) - max(start, best.start)) < end - start:
        return NO_BEHAVIOUR
    return best.label


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
