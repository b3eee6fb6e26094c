"""Log rows by complete lines, so that a run that is killed at any moment can be resumed.

    {"format": "reasonlens.rows/1", "key": ["trace", "span"], "about": {...}, "digest": "5f0e..."}
    {"trace": "t1", "span": 0, "is_stable": true, "digest": "9c31..."}

The first line describes the rows: which run, settings and inputs they belong to. Rows are looked up by their key alone:
the order of lines does not matter, the same line twice counts once, and a run computes the rows that are missing. Each
line ends in a digest of its bytes and of the first line, so that altered bytes, and rows of another log, are detected.
A last line that does not end was being written when the run was killed: it is cut off.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from .columns import Columns, Row, fault
from .comparison import Json, differences, plain
from .errors import InputError, writing

FORMAT = "reasonlens.rows/1"
LENGTH = 16  # hexadecimal digits of a line's digest
DIGEST = b', "digest": "'
END = len(DIGEST) + LENGTH + 2
REMEDY = "remove the file and its rows are made again, or choose another --out"
Key: TypeAlias = Hashable


class RowLog(Mapping[Any, Row]):
    """A read-only mapping from key to row, of the rows in a file and of those that `add` appends to it.

    The key of a row is the value of its key field; with several key fields, the tuple of their values.

        log = RowLog(
            out / "boundaries.jsonl",
            about={"model": identity, "settings": settings},
            key=("trace", "span"),
            columns={"trace": str, "span": int, "is_stable": bool},
        )
        for trace, span in boundaries:
            if (trace, span) not in log:
                log.add([{"trace": trace, "span": span, "is_stable": sample(trace, span)}])
        stable = [log[boundary]["is_stable"] for boundary in boundaries]  # in the order of the boundaries

    The caller holds the lock of the file's directory (with `RunDirectory.log` the run does; for one file among others
    use `only_writer_of`). Rows may be added from several threads.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        about: Mapping[str, Any],
        key: str | Sequence[str],
        columns: Columns,
        claim: Callable[[], object] = lambda: None,
    ) -> None:
        """Read the rows of a file and cut off a torn last line; nothing is written before the first row is added.

        Args:
            path: The file, new or to be continued; None keeps the rows in memory only.
            about: A description of what the rows belong to, any JSON; a file with another description is refused.
            key: The field or fields by which rows are looked up.
            columns: Type of every field, also of the key's; see `columns.py`.
            claim: Called before each write (`RunDirectory` records itself in run.json there).

        Raises:
            InputError: The file has another description, or a line is altered, has other fields, or repeats a key with
                other content; the message names the file, the line and the fault.
        """
        self.path = path
        self._key = (key,) if isinstance(key, str) else tuple(key)
        self._has_single_key = isinstance(key, str)
        self._columns = dict(columns)
        self._claim = claim
        self._rows: dict[Any, Row] = {}
        self._lock = threading.Lock()
        header = {"format": FORMAT, "key": list(self._key), "about": plain(about)}
        self._header = _signed(header, b"")
        self._size = 0  # bytes of the file that are complete lines
        if path is not None and path.is_file():
            self._read(path, header)

    def __getitem__(self, key: Key) -> Row:
        return self._rows[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(tuple(self._rows))

    def __len__(self) -> int:
        return len(self._rows)

    def missing(self, keys: Iterable[Key]) -> list[Any]:
        """List the keys that have no row yet.

        Args:
            keys: Keys to look up.

        Returns:
            Those without a row, in their order.
        """
        return [key for key in keys if key not in self._rows]

    def add(self, rows: Sequence[Mapping[str, Json]]) -> None:
        """Append rows in one write, which either succeeds for all of them or leaves the file as it was.

        Args:
            rows: New rows, each with all columns.

        Raises:
            InputError: The file cannot be written.
            TypeError: A row is not of the columns.
            ValueError: A row's key is there already, or a number is NaN or infinite.
        """
        with self._lock:
            new: dict[Any, Row] = {}
            lines = []
            for row in rows:
                if (wrong := fault(dict(row), self._columns)) is not None:
                    raise TypeError(f"a row for {self.path}: {wrong}")
                key = self._key_of(row)
                if key in self._rows or key in new:
                    raise ValueError(f"there is a row for {key!r} in {self.path} already")
                lines.append(_signed(row, self._header))
                new[key] = plain(dict(row))
            if self.path is not None and lines:
                self._claim()
                self._append(self.path, lines)
            self._rows |= new

    def _append(self, path: Path, lines: list[bytes]) -> None:
        content = b"".join(lines if self._size else [self._header, *lines])
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
            try:
                os.lseek(descriptor, self._size, os.SEEK_SET)
                try:
                    written = 0
                    while written < len(content):
                        written += os.write(descriptor, content[written:])
                except BaseException:
                    os.ftruncate(descriptor, self._size)
                    raise
            finally:
                os.close(descriptor)
        self._size += len(content)

    def _read(self, path: Path, header: dict[str, Json]) -> None:
        content = path.read_bytes()
        complete = content[: content.rfind(b"\n") + 1]
        lines = complete.split(b"\n")[:-1]
        if lines:
            self._check_header(path, lines[0] + b"\n", header)
        elif not self._header.startswith(content):
            raise InputError(f"{path} holds no rows of reasonlens; choose another --out")
        for number, line in enumerate(lines[1:], start=2):
            row = self._parsed(f"{path}, line {number}", line)
            key = self._key_of(row)
            if self._rows.get(key, row) != row:
                raise InputError(f"{path}, line {number}: another row for {key!r} stands above it; {REMEDY}")
            self._rows[key] = row
        if len(complete) < len(content):
            with writing(path), path.open("r+b") as file:
                file.truncate(len(complete))
        self._size = len(complete)

    def _check_header(self, path: Path, line: bytes, header: dict[str, Json]) -> None:
        if line == self._header:
            return
        try:
            there = json.loads(line)
            is_ours = there["format"] == FORMAT
            changes = differences({"key": there["key"], **there["about"]}, {"key": header["key"], **header["about"]})
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}, line 1: no rows of reasonlens; choose another --out") from error
        if not is_ours or not changes:
            raise InputError(f"{path}, line 1 is altered or of another version; {REMEDY}")
        raise InputError(f"{path} holds rows of something else ({changes}); {REMEDY}")

    def _parsed(self, where: str, line: bytes) -> Row:
        if line[-END:] != DIGEST + _digest(line[:-END], self._header) + b'"}':
            raise InputError(f"{where} is altered: its digest is another; {REMEDY}")
        try:
            row = json.loads(line[:-END] + b"}")
        except ValueError as error:
            raise InputError(f"{where}: no JSON ({error}); {REMEDY}") from error
        if (wrong := fault(row, self._columns)) is not None:
            raise InputError(f"{where}: {wrong}; {REMEDY}")
        return dict(row)

    def _key_of(self, row: Mapping[str, Json]) -> Any:
        return row[self._key[0]] if self._has_single_key else tuple(row[name] for name in self._key)


def _signed(row: Mapping[str, Json], header: bytes) -> bytes:
    """Write a row as a line that ends in a digest of the row and of the log's first line."""
    try:
        text = json.dumps(row, ensure_ascii=False, allow_nan=False).encode()[:-1]
    except UnicodeEncodeError:  # half of a surrogate pair, which only an escape can write
        text = json.dumps(row, allow_nan=False).encode()[:-1]
    return text + DIGEST + _digest(text, header) + b'"}\n'


def _digest(text: bytes, header: bytes) -> bytes:
    return hashlib.sha256(header + text).hexdigest()[:LENGTH].encode()
