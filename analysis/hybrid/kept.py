"""What an arm has written so far, a line for each problem, so that a run goes on where it was cut off."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ...models import InputError
from .record import RowRecord


class ArmFile:
    """A file that grows by whole lines; a last line without its end is dropped and written again."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def known(self) -> tuple[list[RowRecord], list[bool]]:
        """What is there. Raises InputError where the file holds something else."""
        if not self._path.is_file():
            return [], []
        content = self._path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            with self._path.open("r+b") as file:
                file.truncate(len(whole))
        records, solved = [], []
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                row = json.loads(line)
                solved.append(bool(row.pop("is_solved")))
                records.append(RowRecord.of_json(row))
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(f"{self._path}, line {number}: no answer ({error}); choose another --out") from error
        return records, solved

    def add(self, records: Sequence[RowRecord], solved: Sequence[bool]) -> None:
        """Write some more."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lines = [
            json.dumps({**asdict(record), "is_solved": bool(right)}, ensure_ascii=False)
            for record, right in zip(records, solved, strict=True)
        ]
        with self._path.open("a", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines))
