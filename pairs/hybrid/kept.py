"""What a run has made so far, so that it goes on where it was cut off."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from ...rundir import InputError
from .record import RowRecord

Made = TypeVar("Made")


class Lines:
    """A JSONL file that grows by whole lines; a last line without its end is dropped and written again."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def known(self) -> list[dict[str, Any]]:
        """What is there. Raises InputError for a line that is no JSON object."""
        if not self.path.is_file():
            return []
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            with self.path.open("r+b") as file:
                file.truncate(len(whole))
        rows = []
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise InputError(f"{self.path}, line {number}: no JSON ({error}); choose another --out") from error
            if not isinstance(row, dict):
                raise InputError(f"{self.path}, line {number}: no object; choose another --out")
            rows.append(row)
        return rows

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write some more."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows))


class ArmFile:
    """What one arm has written, a line for each problem: text, tokens, what was done at each, and whether it is right.

    A compact table: the columns of a response are lists, one entry a token (`RowRecord`).
    """

    def __init__(self, path: Path) -> None:
        self._lines = Lines(path)

    def known(self) -> tuple[list[RowRecord], list[bool]]:
        """What is there. Raises InputError where the file holds something else."""
        records, solved = [], []
        for number, row in enumerate(self._lines.known(), start=1):
            try:
                solved.append(bool(row.pop("is_solved")))
                records.append(RowRecord.of_json(row))
            except (KeyError, TypeError) as error:
                raise InputError(
                    f"{self._lines.path}, line {number}: no answer of this version ({error}); choose another --out"
                ) from error
        return records, solved

    def add(self, records: Sequence[RowRecord], solved: Sequence[bool]) -> None:
        """Write some more."""
        self._lines.add(
            [{**asdict(record), "is_solved": bool(right)} for record, right in zip(records, solved, strict=True)]
        )


def once(
    path: Path | None, make: Callable[[], Made], write: Callable[[Made, Path], None], read: Callable[[Path], Made]
) -> Made:
    """What the file holds; where there is none, what `make` gives, written there if there is a place for it."""
    if path is not None and path.is_file():
        return read(path)
    made = make()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(made, path)
    return made
