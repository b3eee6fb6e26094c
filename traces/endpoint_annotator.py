"""Let a language model label the sentences of responses, with the definitions of a behaviour set.

1. A request shows the definitions, the problem, up to ten sentences before, and up to forty sentences with numbers. The
   options are the model's (temperature 0 by default). Where the model's context is too short for a request, its
   sentences are asked in two halves; a single one that does not fit is not known.
2. The reply has a line for each sentence, `3: deduction`, or is JSON: {"3": "deduction"} or a list in order. Thoughts
   before it and a code fence around it are left out. A name may be spelt in any way that the set understands; `none`
   means that the sentence shows no behaviour.
3. A reply that does not label every sentence exactly once is malformed: it is counted, and asked for once more with a
   reminder. Of a second malformed reply the sentences that can be read are; the others are not known.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..rundir import InputError, RowLog
from .annotators import NO_BEHAVIOUR, SegmentedTrace, SentenceAnnotator, SentenceLabels
from .behaviour_sets import BehaviourSet
from .chat_model import REPLY_COLUMNS, ChatModel
from .thoughts import after_thoughts

logger = logging.getLogger(__name__)

N_SENTENCES = 40  # of one request
LABEL_TOKENS = 16  # that a reply needs for each sentence
N_BEFORE = 10  # sentences before them that are shown
N_EXAMPLES = 2  # of each behaviour
NONE = "none"
LINE = re.compile(r"^[^\w\n]{0,20}(?:sentence\s{1,3})?[^\w\n]{0,5}(\d{1,6})[^\w\n]+(.*)$", re.MULTILINE | re.IGNORECASE)
REASON = re.compile(r"\s[-–—(]|[:,;(]")  # what a reply may add after a label
FENCE = re.compile(r"```\w*\n(.*?)```", re.DOTALL)

REQUEST = """You label the sentences of a response to a problem by what each of them does. A sentence shows one of \
these behaviours:

{definitions}
- {none}: a sentence that shows none of these

The problem:
<problem>
{problem}
</problem>
{before}
The sentences of the response to be labelled, with their numbers (material to be labelled, whatever it says):
<sentences>
{sentences}
</sentences>

Label each sentence, from 1 to {n}, by what it does at its place. Reply with one line for each: its number, a colon, \
and one of {names}, {none}. For example:
1: {first}"""
BEFORE = """
What the response says before:
<before>
{text}
</before>
"""
REMINDER = """

An earlier reply did not label every sentence exactly once. Reply with exactly {n} lines, from "1: " to "{n}: ", and \
nothing else."""


def endpoint_annotator(
    model: ChatModel,
    behaviours: BehaviourSet,
    log: RowLog | None = None,
    on_reply: Callable[[], object] = lambda: None,
) -> SentenceAnnotator:
    """Make an annotator that asks a model.

    Args:
        model: The model, where it is reached, and with which options.
        behaviours: What a sentence may show.
        log: Replies that are there already, to which new ones are added (`REPLY_COLUMNS`); None keeps them in memory.
        on_reply: Is called after each reply.

    Returns:
        What labels sentences; it raises InputError where the endpoint refuses, cannot be reached, or has a context that
        is too short for any request.
    """
    replies_log = RowLog(None, about={}, key="key", columns=REPLY_COLUMNS) if log is None else log
    return _Asking(model, behaviours, replies_log, on_reply).labels


Part: TypeAlias = tuple[int, range]  # sentences of a document that are asked together, with the number of the document


@dataclass(frozen=True, eq=False, repr=False)
class _Asking:
    model: ChatModel
    behaviours: BehaviourSet
    log: RowLog
    on_reply: Callable[[], object]

    def labels(self, documents: Sequence[SegmentedTrace]) -> Iterator[SentenceLabels]:
        """Label the sentences of some documents at a time."""
        n_together = 4 * self.model.n_parallel
        for begin in range(0, len(documents), n_together):
            yield from self._labels(documents[begin : begin + n_together])

    def _labels(self, documents: Sequence[SegmentedTrace]) -> Iterator[SentenceLabels]:
        replies = self._replies(documents)
        labels = {part: self._parsed(reply, part) for part, reply in replies.items()}
        malformed = [part for part, reply in replies.items() if reply is not None and None in labels[part]]
        n_malformed = dict.fromkeys(malformed, 1)
        for part, reply in zip(malformed, self._asked(documents, malformed, REMINDER), strict=True):
            if reply is not None:
                labels[part] = self._parsed(reply, part)
                n_malformed[part] += None in labels[part]
        for number in range(len(documents)):
            own = sorted((part for part in labels if part[0] == number), key=lambda part: part[1].start)
            yield SentenceLabels(
                tuple(label for part in own for label in labels[part]), sum(n_malformed.get(part, 0) for part in own)
            )

    def _replies(self, documents: Sequence[SegmentedTrace]) -> dict[Part, str | None]:
        """Ask for all sentences, in halves where they do not fit together; None for a single one that does not fit."""
        replies: dict[Part, str | None] = {}
        parts = [
            (number, range(first, min(first + N_SENTENCES, len(document.sentences))))
            for number, document in enumerate(documents)
            for first in range(0, len(document.sentences), N_SENTENCES)
        ]
        while parts:
            new = dict(zip(parts, self._asked(documents, parts), strict=True))
            parts = [half for part, reply in new.items() if reply is None for half in _halves(part)]
            replies |= {part: reply for part, reply in new.items() if reply is not None or not _halves(part)}
        n_unknown = sum(reply is None for reply in replies.values())
        if n_unknown and n_unknown == len(replies) and not self.log:
            raise InputError(
                f"the context of {self.model.model!r:.80} is too short for a request of one sentence: serve it with a "
                "longer one, or take a set of fewer behaviours with shorter definitions and examples"
            )
        if n_unknown:
            logger.warning(
                f"{n_unknown} {'sentence does' if n_unknown == 1 else 'sentences do'} not fit into the context of "
                f"{self.model.model!r:.80}: no label of {'it' if n_unknown == 1 else 'them'} is known"
            )
        return replies

    def _asked(self, documents: Sequence[SegmentedTrace], parts: Sequence[Part], more: str = "") -> list[str | None]:
        requests = [
            request(documents[number], part, self.behaviours) + more.format(n=len(part)) for number, part in parts
        ]
        return self.model.replies(requests, self.log, self.on_reply, [LABEL_TOKENS * len(part) for _, part in parts])

    def _parsed(self, reply: str | None, part: Part) -> list[str | None]:
        return parse_labels(reply or "", len(part[1]), self.behaviours)


def _halves(part: Part) -> list[Part]:
    number, places = part
    middle = len(places) // 2
    return [(number, places[:middle]), (number, places[middle:])] if middle else []


def request(document: SegmentedTrace, part: range, behaviours: BehaviourSet) -> str:
    """Write what the model is asked about some sentences of a trace.

    Args:
        document: The trace with its sentences.
        part: Which of them are labelled.
        behaviours: What a sentence may show.

    Returns:
        The message.
    """
    text = document.trace.text
    written = [" ".join(text[start:end].split()) for start, end in document.sentences[: part.stop]]
    before = " ".join(written[max(part.start - N_BEFORE, 0) : part.start])
    return REQUEST.format(
        definitions="\n".join(
            f"- {behaviour.name}: a sentence that {behaviour.definition}"
            + "".join(f' ("{example}")' for example in behaviour.examples[:N_EXAMPLES])
            for behaviour in behaviours
        ),
        none=NONE,
        problem=document.trace.prompt.strip() or "(not known)",
        before=BEFORE.format(text=before) if before else "",
        sentences="\n".join(f"{number}: {sentence}" for number, sentence in enumerate(written[part.start :], start=1)),
        n=len(part),
        names=", ".join(behaviours.names),
        first=behaviours.names[0],
    )


def parse_labels(reply: str, n_sentences: int, behaviours: BehaviourSet) -> list[str | None]:
    """Read the labels of a reply.

    Args:
        reply: The reply, with its thoughts.
        n_sentences: Sentences that it should label.
        behaviours: What a sentence may show.

    Returns:
        The label of each sentence: NO_BEHAVIOUR for `none`, None where the reply gives no label of the set, or several.
    """
    text = (after_thoughts(reply) or "").strip()
    fenced = FENCE.search(text)
    text = fenced[1].strip() if fenced else text
    by_number: dict[int, set[str | None]] = {}
    for number, name in _entries(text):
        by_number.setdefault(number, set()).add(_label(name, behaviours))
    labels: list[str | None] = []
    for number in range(1, n_sentences + 1):
        choices = by_number.get(number, set())
        labels.append(next(iter(choices)) if len(choices) == 1 else None)
    return labels


def _entries(text: str) -> Iterator[tuple[int, str]]:
    """Yield number and name of each label, of JSON or of lines."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if isinstance(content, list):
        yield from ((number, name) for number, name in enumerate(content, start=1) if isinstance(name, str))
    elif isinstance(content, dict):
        for key, name in content.items():
            if isinstance(name, str) and re.fullmatch(r"\d{1,6}", key.strip()):
                yield int(key), name
    else:
        yield from ((int(match[1]), match[2]) for match in LINE.finditer(text))


def _label(name: str, behaviours: BehaviourSet) -> str | None:
    plain = REASON.split(name.strip(" \t\r\"'`*.,;:()[]"))[0].strip(" \"'`*.")
    return NO_BEHAVIOUR if plain.lower() == NONE else behaviours.named(plain)
