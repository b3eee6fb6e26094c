"""Hold what several annotators say of each sentence of a trace, and keep it in the metadata of the trace's line.

    "metadata": {"labels": {
        "sentences": [[0, 15], [16, 30]],            characters [start, end) of each sentence
        "by": {"keywords": ["deduction", null]},     annotator -> label of each; "": no behaviour, null: not known
        "spans_by": "keywords",                      whose labels are the spans; a person's stand above them
        "disputed": [1],                             sentences on which two annotators differ
        "low_agreement": ["deduction"],              labels of this trace on which annotators agree too little
        "structured_outputs": []}}                   annotators whose replies an endpoint held to a JSON schema

A person's labels (`PERSON`) are those of a review; sentences without one are null there.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..rundir import InputError, atomic_path, brief, check_kinds, expanded, parse_json, reading, writing
from .corrections import Correction, corrections_of, read_corrections
from .jsonl import FREE, trace_of_row, trace_row
from .markers import holds_word
from .readers import JSON_FORMS, file_rows, form_of_file
from .trace import Span, Trace

LABELS = "labels"
PERSON = "person"
MAJORITY = "majority"


@dataclass(frozen=True, slots=True)
class LabelledTrace:
    """A trace whose spans are the labels of one annotator, with those of all; parts that disagree raise InputError."""

    trace: Trace
    sentences: tuple[tuple[int, int], ...]
    by: Mapping[str, tuple[str | None, ...]]  # annotator -> label of each sentence
    spans_by: str  # annotator whose labels are the spans, or MAJORITY
    low_agreement: tuple[str, ...] = ()
    structured: tuple[str, ...] = ()  # annotators with structured outputs
    metadata: Mapping[str, Any] = field(default_factory=dict)  # whatever else the line holds

    __repr__ = brief

    def __post_init__(self) -> None:
        for name, labels in self.by.items():
            if len(labels) != len(self.sentences):
                raise InputError(
                    f"trace {self.trace.id!r:.60} has {len(self.sentences)} sentences, and {name!r:.60} labels "
                    f"{len(labels)}: label the traces again"
                )
        if self.spans_by not in (*self.by, MAJORITY):
            raise InputError(f"trace {self.trace.id!r:.60} takes the labels of {self.spans_by!r:.60}, who gave none")

    @property
    def disputed(self) -> tuple[int, ...]:
        """The sentences on which two annotators differ."""
        return tuple(place for place, labels in enumerate(self._by_sentence()) if len({*labels} - {None}) > 1)

    @property
    def labels(self) -> tuple[str | None, ...]:
        """The label of each sentence that counts: a person's, else that of the annotator whose labels are the spans."""
        persons = self.by.get(PERSON, (None,) * len(self.sentences))
        if self.spans_by == MAJORITY:
            chosen: Sequence[str | None] = [_majority(labels) for labels in self._by_sentence(without=PERSON)]
        else:
            chosen = self.by[self.spans_by]
        return tuple(own if own is not None else label for own, label in zip(persons, chosen, strict=True))

    def with_spans(self, words: Mapping[str, tuple[str, ...]]) -> LabelledTrace:
        """Replace the spans by the labels that count.

        Args:
            words: Behaviour -> its tell-tale words, by which spans are marked; a behaviour without any is not.

        Returns:
            The same labels with new spans; sentences without a behaviour get none.
        """
        spans = tuple(
            Span(start, end, label, holds_word(self.trace.text[start:end], words.get(label, ())))
            for (start, end), label in zip(self.sentences, self.labels, strict=True)
            if label
        )
        return replace(self, trace=replace(self.trace, spans=spans))

    def corrected(self, correction: Correction) -> LabelledTrace:
        """Take a person's correction over, with the spans that follow from it."""
        labels = list(self.by.get(PERSON, (None,) * len(self.sentences)))
        if not 0 <= correction.sentence < len(labels):
            raise InputError(f"trace {self.trace.id!r:.60} has no sentence {correction.sentence}")
        labels[correction.sentence] = correction.label
        return replace(self, trace=correction.trace, by={**self.by, PERSON: tuple(labels)})

    def to_row(self) -> dict[str, Any]:
        """Convert to a line of JSON."""
        labels = {
            "sentences": [list(sentence) for sentence in self.sentences],
            "by": {name: list(labels) for name, labels in self.by.items()},
            "spans_by": self.spans_by,
            "disputed": list(self.disputed),
            "low_agreement": [label for label in self.low_agreement if label in self.labels],
            "structured_outputs": list(self.structured),
        }
        return trace_row(self.trace) | {FREE: {**self.metadata, LABELS: labels}}

    @classmethod
    def from_row(cls, row: Any, source: str) -> LabelledTrace:
        """Read a line of JSON.

        Args:
            row: Its values.
            source: Where it stands, for messages.

        Returns:
            The trace with its labels.

        Raises:
            InputError: It is no trace, or was not labelled by `reasonlens label`.
        """
        trace = trace_of_row(row, source)
        metadata = metadata_of(row)
        if not isinstance(metadata.get(LABELS), dict):
            raise InputError(
                f"{source}: the trace {trace.id!r:.60} holds no labels of annotators; label the file first"
            )
        content = check_kinds(metadata.pop(LABELS), {"sentences": list, "by": dict, "spans_by": str}, source)
        try:
            sentences = tuple((int(start), int(end)) for start, end in content["sentences"])
            by = {name: tuple(map(_label, labels)) for name, labels in content["by"].items()}
        except (TypeError, ValueError) as error:
            raise InputError(f"{source}: its labels are damaged ({error}); label the file again") from error
        if any(not 0 <= start < end <= len(trace.text) for start, end in sentences):
            raise InputError(f"{source}: a sentence does not lie in the text of {trace.id!r:.60}; label the file again")
        low = tuple(map(str, content.get("low_agreement", ())))
        structured = tuple(map(str, content.get("structured_outputs", ())))
        return cls(trace, sentences, by, content["spans_by"], low, structured, metadata)

    def _by_sentence(self, without: str = "") -> list[tuple[str | None, ...]]:
        columns = [labels for name, labels in self.by.items() if name != without]
        return list(zip(*columns, strict=True)) if columns else [()] * len(self.sentences)


def read_labelled(path: str | Path) -> list[LabelledTrace]:
    """Read a file that `reasonlens label` wrote, with the corrections beside it.

    Args:
        path: The file.

    Returns:
        Its traces, in their order.

    Raises:
        InputError: It cannot be read, or holds other lines.
    """
    file = expanded(path)
    rows = _rows(file)
    if not rows:
        raise InputError(f"{file} holds no traces; label some with `reasonlens label`")
    traces = [LabelledTrace.from_row(row, f"{file}, line {number}") for number, row in rows]
    for correction in read_corrections(file, [trace.trace for trace in traces]):
        traces[correction.place] = traces[correction.place].corrected(correction)
    return traces


def write_labelled(traces: Iterable[LabelledTrace], path: str | Path) -> None:
    """Write labelled traces, atomically, and remove the corrections beside them, which they hold.

    Args:
        traces: The traces.
        path: The file.
    """
    lines = [json.dumps(trace.to_row(), ensure_ascii=False) for trace in traces]
    with atomic_path(Path(path)) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    with writing(corrections := corrections_of(expanded(path))):
        corrections.unlink(missing_ok=True)


def metadata_by_id(path: str | Path) -> dict[str, dict[str, Any]]:
    """Read what the rows of a file hold beside their traces.

    Args:
        path: The file, gzipped or not, of JSON lines or a document of JSON.

    Returns:
        The id of each trace -> its metadata without labels; empty for a file that holds no JSON.

    Raises:
        InputError: The file cannot be read.
    """
    file = expanded(path)
    if not file.is_file() or form_of_file(file) not in JSON_FORMS:
        return {}
    rows = (row for _, row in file_rows(file) if isinstance(row, dict) and "id" in row)
    return {str(row["id"]): {key: value for key, value in metadata_of(row).items() if key != LABELS} for row in rows}


def metadata_of(row: Any) -> dict[str, Any]:
    """Return what a line holds beside its trace; a value that is no object stands under `metadata`."""
    content = row.get(FREE) if isinstance(row, dict) else None
    return dict(content) if isinstance(content, dict) else {} if content is None else {FREE: content}


def _rows(path: Path) -> list[tuple[int, Any]]:
    with reading(path, "labelled traces"), path.open("rb") as file:
        lines = [(number, line.removeprefix(b"\xef\xbb\xbf")) for number, line in enumerate(file, start=1)]
        return [(number, parse_json(line, f"{path}, line {number}")) for number, line in lines if line.strip()]


def _majority(labels: Sequence[str | None]) -> str | None:
    """Choose the label that most annotators give; of several alike that of the first annotator."""
    counts = Counter(label for label in labels if label is not None)
    return max(counts, key=lambda label: counts[label], default=None)


def _label(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no label")
    return value
