"""Keep what a person corrects in a file of labelled traces as lines beside it, until the file itself is written.

    {"place": 4, "id": "t4", "sentence": 7, "label": "deduction", "spans": [{"start": 0, "end": 15, ...}]}

Each line names a trace by its place in the file, gives the label of one sentence, and the spans that the trace has from
then on. A line costs the same whatever the size of the file. Who reads the file reads the lines with it, the last of a
trace counts, so that a review that is killed loses nothing; a line that does not end was being written, and counts for
nothing. `write_labelled` writes a file that holds its corrections, and removes them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..rundir import InputError, brief, check_kinds, expanded, is_there, parse_json, reading, writing
from .jsonl import trace_of_row, trace_row
from .trace import Trace

BESIDE = ".corrections"  # of the file's name
KINDS = {"place": int, "id": str, "sentence": int, "spans": list}


@dataclass(frozen=True, slots=True)
class Correction:
    """The label that a person gives to one sentence, and the trace with the spans that follow from it."""

    place: int  # of the trace in the file, from 0
    sentence: int  # its number, from 0
    label: str | None  # "": no behaviour; None: a label is taken back
    trace: Trace

    __repr__ = brief


class CorrectionLog:
    """The corrections beside a file; who adds to them holds the lock of the file (`only_writer_of`)."""

    def __init__(self, file: Path) -> None:
        self.file, self.path = file, corrections_of(file)
        self._size: int | None = None  # bytes of complete lines; None: not looked up yet

    def __repr__(self) -> str:
        return f"CorrectionLog(of {self.file.name!r:.60})"

    def add(self, correction: Correction) -> None:
        """Append a correction and flush it to disk; the lines are as they were where that fails.

        Args:
            correction: What is appended.

        Raises:
            InputError: It cannot be written.
        """
        row = {"place": correction.place, "id": correction.trace.id, "sentence": correction.sentence}
        row |= {"label": correction.label, "spans": trace_row(correction.trace)["spans"]}
        line = json.dumps(row).encode() + b"\n"
        with writing(self.path):
            if self._size is None:
                self._size = len(_complete(self.path)) if is_there(self.path) else 0
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o666)
            try:
                os.ftruncate(descriptor, self._size)  # a line that did not end
                os.lseek(descriptor, self._size, os.SEEK_SET)
                try:
                    written = 0
                    while written < len(line):
                        written += os.write(descriptor, line[written:])
                    os.fsync(descriptor)
                except BaseException:
                    os.ftruncate(descriptor, self._size)
                    raise
            finally:
                os.close(descriptor)
        self._size += len(line)


def corrections_of(file: Path) -> Path:
    """Name the file of the corrections of a file."""
    return file.with_name(f"{file.name}{BESIDE}")


def read_corrections(file: Path, traces: Sequence[Trace]) -> Iterator[Correction]:
    """Read the corrections beside a file, in the order in which they were made.

    Args:
        file: The file of labelled traces.
        traces: Those of the file, in its order.

    Yields:
        The corrections; none where there is no such file.

    Raises:
        InputError: A line is damaged, or belongs to another file.
    """
    for where, row in _rows(file):
        if not 0 <= row["place"] < len(traces):
            raise _foreign(file, where, row)
        trace = _corrected(file, traces[row["place"]], where, row)
        yield Correction(row["place"], row["sentence"], row["label"], trace)


def with_corrections(path: str | Path, traces: Iterator[tuple[str, Trace]]) -> Iterator[tuple[str, Trace]]:
    """Give traces of a file the spans that its corrections say, where a review was cut off or is going on.

    Args:
        path: The file.
        traces: Where each trace stands, and the trace, in the order of the file.

    Yields:
        The same, corrected.

    Raises:
        InputError: It is no path, or a correction is damaged or belongs to another file.
    """
    file = expanded(path)
    last = {row["place"]: (where, row) for where, row in _rows(file)}
    for place, (where, trace) in enumerate(traces):
        yield where, _corrected(file, trace, *last[place]) if place in last else trace


def _rows(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read the complete lines: where each stands, and its values."""
    path = corrections_of(file)
    if not is_there(path):
        return
    for number, line in enumerate(_complete(path).split(b"\n")[:-1], start=1):
        where = f"{path}, line {number}"
        row = check_kinds(parse_json(line, where), KINDS, where)
        if not isinstance(row.get("label"), str | None):
            raise InputError(f"{where}: {row.get('label')!r:.40} is no label; remove the line")
        yield where, row


def _complete(path: Path) -> bytes:
    with reading(path, "corrections"):
        content = path.read_bytes()
    return content[: content.rfind(b"\n") + 1]


def _corrected(file: Path, trace: Trace, where: str, row: dict[str, Any]) -> Trace:
    if row["id"] != trace.id:
        raise _foreign(file, where, row)
    return trace_of_row({**trace_row(trace), "spans": row["spans"]}, where)


def _foreign(file: Path, where: str, row: dict[str, Any]) -> InputError:
    return InputError(
        f"{where}: trace {row['id']!r:.60} does not stand at place {row['place']} of {file.name}: these are "
        "corrections of another file. Remove them, or put the file back"
    )
