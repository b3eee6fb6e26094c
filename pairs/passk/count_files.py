"""Read counts of right samples from files: counts themselves, logs of inspect_ai, logs of lm-eval; plain or gzipped.

counts          JSONL, a row a problem: {"id", "n", "c"}, perhaps {"right_steps"}
inspect_ai      the JSON form of a log (`logs.py`): every epoch of a sample is a sample of its problem
lm-eval         samples_TASK_DATE.jsonl (`logs.py`): every repeat of a document is a sample of its problem

What a file is, is known by its content. A new kind is one reader, listed in READERS.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...rundir import InputError, expanded, parse_json, reading
from .counts import ProblemCounts, without_repeats
from .logs import inspect_counts, is_inspect_log, is_lm_eval_row, lm_eval_counts

GZIP, ZIP = b"\x1f\x8b", b"PK"

# Where counts come from: a file, or rows of `id`, `n` and `c`.
CountsLike = str | Path | Iterable[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class CountSource:
    """Counts, and what was noticed while they were read."""

    counts: tuple[ProblemCounts, ...]
    notes: tuple[str, ...] = ()


Rows = list[tuple[str, Any]]  # where each row stands, and the row


def _plain(rows: Rows, source: str, score: str | None) -> CountSource:
    if score is not None:
        raise InputError(f"{source} holds counts, which have no score to choose: leave --score out")
    return CountSource(without_repeats((where, ProblemCounts.of(row, where)) for where, row in rows))


def _inspect(rows: Rows, source: str, score: str | None) -> CountSource:
    return CountSource(*inspect_counts(rows[0][1], source, score))


def _lm_eval(rows: Rows, source: str, score: str | None) -> CountSource:
    return CountSource(*lm_eval_counts(rows, source, score))


# Whether the first row of a file is of a kind, and how rows of this kind are read.
READERS: tuple[tuple[Callable[[Any], bool], Callable[[Rows, str, str | None], CountSource]], ...] = (
    (is_inspect_log, _inspect),
    (is_lm_eval_row, _lm_eval),
    (lambda row: True, _plain),
)


def read_counts(source: CountsLike, score: str | None = None) -> CountSource:
    """Read counts from a file, or check rows.

    Args:
        source: A file of counts, a log of inspect_ai or lm-eval, or rows of `id`, `n` and `c`.
        score: Which score of a log says that a sample is right; None: the only one.

    Returns:
        The counts of each problem.

    Raises:
        InputError: The source cannot be read or is damaged, or a row is no count; it is named with its place.
    """
    if isinstance(source, str | Path):
        path = expanded(source)
        rows, name = _rows(path), str(path)
    else:
        rows, name = [(f"row {number}", row) for number, row in enumerate(source, start=1)], "the rows of counts"
    if not rows:
        raise InputError(f'{name} holds no rows; a row is {{"id": "p1", "n": 128, "c": 3}}, one a problem')
    read = next(reader for is_of_kind, reader in READERS if is_of_kind(rows[0][1]))
    return read(rows, name, score)


def _rows(path: Path) -> Rows:
    """Parse a file of JSON lines, or of one JSON value over several lines."""
    with reading(path, "counts"):
        content = path.read_bytes()
    if content.startswith(ZIP):
        raise InputError(
            f"{path} is an archive, perhaps a log of inspect_ai in its own format: give its JSON form "
            "(`inspect log dump FILE > FILE.json`)"
        )
    if content.startswith(GZIP):
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise InputError(
                f"{path} is a damaged or cut off gzip file ({error}): copy or download it again"
            ) from error
    with reading(path, "counts"):
        text = content.decode("utf-8-sig")
    lines = text.split("\n")  # not splitlines: JSON may hold other line separators
    if lines[0].strip() in ("{", "["):
        value = parse_json(text, path)
        return (
            [(f"{path}, entry {number}", row) for number, row in enumerate(value, start=1)]
            if isinstance(value, list)
            else [(str(path), value)]
        )
    last = max((number for number, line in enumerate(lines, start=1) if line.strip()), default=0)
    rows = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                rows.append((f"{path}, line {number}", parse_json(line, f"{path}, line {number}")))
            except InputError as error:
                if number == last and not text.endswith("\n"):
                    raise InputError(
                        f"{error}; the file ends within a line, so it may be cut off: copy it again"
                    ) from error
                raise
    if len(rows) == 1 and isinstance(rows[0][1], list):
        return [(f"{path}, entry {number}", row) for number, row in enumerate(rows[0][1], start=1)]
    return rows
