"""Let a person correct labels: the labelled traces of a file, those in dispute first, and corrections that are saved.

A correction is the label of one sentence by the annotator `person`, which stands above all others: the spans of its
trace follow it. Every correction is appended at once to the lines beside the file (`traces/corrections.py`), which are
read with it, so that nothing is lost; the end of the review writes the file. Nobody else may write it meanwhile.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...rundir import InputError, expanded, is_there, listed, only_writer_of, read_json
from ...traces.annotators import NO_BEHAVIOUR
from ...traces.behaviour_sets import Behaviour, BehaviourSet
from ...traces.corrections import Correction, CorrectionLog
from ...traces.labelled import PERSON, LabelledTrace, read_labelled, write_labelled
from ._label import BESIDE

RUN = "run.json"


class Review:
    """The labelled traces of a file while a person goes through them; made by `open_review`."""

    def __init__(self, file: Path, traces: list[LabelledTrace], behaviours: tuple[Behaviour, ...]) -> None:
        self.file, self.traces, self.behaviours = file, traces, behaviours
        self._words = {behaviour.name: behaviour.words for behaviour in behaviours}
        self._lock = threading.Lock()
        self._log = CorrectionLog(file)
        self._n_reviewed = sum(map(_n_reviewed, traces))

    def __repr__(self) -> str:
        return f"Review({self.file.name!r:.60}, {len(self.traces)} traces, {self.n_reviewed} sentences reviewed)"

    @property
    def n_reviewed(self) -> int:
        """The sentences that a person has labelled."""
        return self._n_reviewed

    def overview(self) -> dict[str, Any]:
        """List behaviours and traces, those with most sentences in dispute that no person has labelled first."""
        rows = [self.counts(place) for place in range(len(self.traces))]
        return {
            "file": self.file.name,
            "behaviours": [
                {"name": behaviour.name, "definition": behaviour.definition, "examples": list(behaviour.examples)}
                for behaviour in self.behaviours
            ],
            "traces": sorted(rows, key=lambda row: -row["n_open"]),
            "n_reviewed": self.n_reviewed,
        }

    def counts(self, place: int) -> dict[str, Any]:
        """Count the sentences of one trace: all, in dispute, in dispute without a person's label, with one."""
        trace = self._at(place)
        return {
            "place": place,
            "id": trace.trace.id,
            "n_sentences": len(trace.sentences),
            "n_disputed": len(trace.disputed),
            "n_open": len(_open(trace)),
            "n_reviewed": _n_reviewed(trace),
        }

    def trace(self, place: int) -> dict[str, Any]:
        """Describe one trace: its texts, and for each sentence what counts and what each annotator says."""
        trace = self._at(place)
        still_open = _open(trace)
        return {
            "place": place,
            "id": trace.trace.id,
            "prompt": trace.trace.prompt,
            "text": trace.trace.text,
            "sentences": [
                {
                    "start": start,
                    "end": end,
                    "label": trace.labels[number],
                    "by": {name: labels[number] for name, labels in trace.by.items()},
                    "is_disputed": number in trace.disputed,
                    "is_open": number in still_open,
                }
                for number, (start, end) in enumerate(trace.sentences)
            ],
        }

    def correct(self, place: int, sentence: int, label: str | None) -> None:
        """Keep a person's label of a sentence, in a line beside the file.

        Args:
            place: Of the trace in the file, from 0.
            sentence: Its number, from 0.
            label: A behaviour, NO_BEHAVIOUR, or None to take the person's label back.

        Raises:
            InputError: There is no such trace, sentence or behaviour, or the line cannot be written.
        """
        with self._lock:
            trace = self._at(place)
            if type(sentence) is not int or not 0 <= sentence < len(trace.sentences):
                raise InputError(f"trace {trace.trace.id!r:.60} has no sentence {sentence!r:.20}")
            names = [behaviour.name for behaviour in self.behaviours]
            if label is not None and label not in (*names, NO_BEHAVIOUR):
                raise InputError(f"there is no behaviour {label!r:.60}; there are {listed(names, 20)}")
            corrected = trace.corrected(Correction(place, sentence, label, trace.trace)).with_spans(self._words)
            self._log.add(Correction(place, sentence, label, corrected.trace))
            self.traces[place] = corrected
            self._n_reviewed += _n_reviewed(corrected) - _n_reviewed(trace)

    def close(self) -> None:
        """Write the file with all corrections, also those of a review that was cut off, if there are any."""
        with self._lock:
            if is_there(self._log.path):
                write_labelled(self.traces, self.file)

    def _at(self, place: int) -> LabelledTrace:
        if type(place) is not int or not 0 <= place < len(self.traces):
            raise InputError(f"there is no trace {place!r:.20}; there are {len(self.traces)}, counted from 0")
        return self.traces[place]


@contextmanager
def open_review(file: str | Path) -> Iterator[Review]:
    """Open a file that `reasonlens label` wrote for review; nobody else can write it until the block ends.

    Args:
        file: The file.

    Yields:
        The review.

    Raises:
        InputError: The file cannot be read or written, or is being reviewed by another process.
    """
    path = expanded(file)
    with only_writer_of(path):
        traces = read_labelled(path)
        review = Review(path, traces, _behaviours(path, traces))
        try:
            yield review
        finally:
            review.close()


def _behaviours(file: Path, traces: list[LabelledTrace]) -> tuple[Behaviour, ...]:
    """Read the behaviour set of the run beside the file, and add the labels that occur and are none of it."""
    behaviours: tuple[Behaviour, ...] = ()
    run = file.with_name(f"{file.name}{BESIDE}") / RUN
    if is_there(run):
        content = read_json(run, "a run")
        try:
            stored = content["settings"]["behaviours"]
            behaviours = BehaviourSet(
                stored["name"],
                stored["source"],
                tuple(
                    Behaviour(row["name"], row["definition"], tuple(row["examples"]), tuple(row["words"]))
                    for row in stored["behaviours"]
                ),
            ).behaviours
        except (LookupError, TypeError, AttributeError) as error:
            raise InputError(f"{run} is damaged ({json.dumps(str(error)[:60])}); label the file again") from error
    names = {behaviour.name for behaviour in behaviours}
    used = {label for trace in traces for labels in trace.by.values() for label in labels if label}
    return (*behaviours, *(Behaviour(name, "") for name in sorted(used - names)))


def _n_reviewed(trace: LabelledTrace) -> int:
    """Count the sentences that a person has labelled."""
    return sum(label is not None for label in trace.by.get(PERSON, ()))


def _open(trace: LabelledTrace) -> set[int]:
    """Name the sentences in dispute that no person has labelled."""
    persons = trace.by.get(PERSON, (None,) * len(trace.sentences))
    return {number for number in trace.disputed if persons[number] is None}
