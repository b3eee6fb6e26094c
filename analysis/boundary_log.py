"""A file of sampled boundaries that grows by a line each, so that a run killed at any moment goes on where it stopped.

The first line says what was sampled, of which model and how; the same is needed to go on. A last line without its end
was being written when the run died: it is cut off and its boundary sampled again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..rundir import InputError

FORMAT = "reasonlens.stability/1"
Key = tuple[str, int]  # trace id, number of the span in it


class BoundaryLog:
    """The rows that are there already, by their "trace" and "span", and a way to append more."""

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        """Raises InputError when `path` holds something else, or boundaries sampled in another way."""
        self._path = path
        whole, torn = _parts(path.read_bytes() if path.exists() else b"")
        first = _line({"format": FORMAT, **header})
        if not whole and not first.startswith(torn):
            raise InputError(f"{path} holds something else than sampled boundaries; choose another file")
        self.rows: dict[Key, dict[str, Any]] = {}
        if whole:
            _check_header(path, _parsed(path, 1, whole[0]), json.loads(first))
            for number, line in enumerate(whole[1:], start=2):
                row = _parsed(path, number, line)
                self.rows[row["trace"], row["span"]] = row
        with path.open("ab") as file:
            file.truncate(sum(len(line) + 1 for line in whole))
            file.write(b"" if whole else first)

    def append(self, row: dict[str, Any]) -> None:
        """Add a row with its "trace" and "span", and flush it."""
        with self._path.open("ab") as file:
            file.write(_line(row))
        self.rows[row["trace"], row["span"]] = row


@contextmanager
def open_log(path: Path, header: Mapping[str, Any]) -> Iterator[BoundaryLog]:
    """The log at `path` for one writer at a time. Raises InputError when another process writes to it."""
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    with ExitStack() as held:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(lock.acquire(timeout=0))
            log = BoundaryLog(path, header)
        except Timeout as error:
            raise InputError(f"another process is writing to {path}: wait for it, or choose another file") from error
        except OSError as error:
            raise InputError(f"cannot write to {path}: {error.strerror}. Choose another file.") from error
        yield log


def _parts(content: bytes) -> tuple[list[bytes], bytes]:
    """The whole lines, and what stands after the last of them."""
    *whole, torn = content.split(b"\n")
    return whole, torn


def _line(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _parsed(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
        if number > 1:
            _ = row["trace"], row["span"]
        return dict(row)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}, line {number}: no sampled boundary ({error}); choose another file") from error


def _check_header(path: Path, there: dict[str, Any], asked: dict[str, Any]) -> None:
    if there.get("format") != FORMAT:
        raise InputError(f"{path} holds something else than sampled boundaries; choose another file")
    differing = [key for key in asked if there.get(key) != asked[key]]
    if differing:
        changes = ", ".join(f"{key} {there.get(key)!r} there, {asked[key]!r} asked" for key in differing)
        raise InputError(f"{path} holds boundaries sampled in another way ({changes}); choose another file")
