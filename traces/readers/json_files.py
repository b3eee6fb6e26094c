"""Read rows from JSON lines, one line at a time, and from JSON documents.

A document is a list of rows, an object that holds one under a usual name (`{"samples": [...]}`), or one row.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...rundir import InputError, parse_json
from .source import RowFile

LISTS = ("samples", "data", "rows", "traces", "examples", "instances", "results", "responses")  # that hold the rows
LONGEST_LINE = 1 << 28  # bytes of a line by which a file is recognised


def json_lines(file: RowFile) -> Iterator[tuple[str, Any]]:
    """Read one row a line, never more than a line in memory.

    Args:
        file: The file; blank lines are left out.

    Yields:
        Where each row stands ("FILE, line 3"), and the row.

    Raises:
        InputError: A line is no UTF-8 or no JSON.
    """
    with file.open() as lines:  # cut at newlines alone: U+2028 may stand inside a string
        for number, line in enumerate(lines, start=1):
            place = f"{file.path}, line {number}"
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise InputError(
                    f"cannot read traces from {place}: byte {error.start} of it is not UTF-8; save it as UTF-8"
                ) from error
            if text.strip():
                yield place, parse_json(text, place)


def json_document(file: RowFile) -> Iterator[tuple[str, Any]]:
    """Read the rows of a JSON document, which is held in memory.

    Args:
        file: The file.

    Yields:
        Where each row stands ("FILE, row 3"), and the row.

    Raises:
        InputError: It is no JSON, or neither a row nor a list of rows.
    """
    document = parse_json(file.content().removeprefix(b"\xef\xbb\xbf"), file.path)
    if isinstance(document, dict):
        lists = [name for name in LISTS if isinstance(document.get(name), list) and _holds_rows(document[name])]
        document = document[lists[0]] if lists else [document]
    if not isinstance(document, list):
        raise InputError(f"{file.path} holds {type(document).__name__}: it needs a list of objects, one for each trace")
    for number, row in enumerate(document, start=1):
        yield f"{file.path}, row {number}", row


def is_json_lines(file: RowFile) -> bool:
    """Tell whether a file holds a row a line, and no document over one line or several.

    Args:
        file: The file.

    Returns:
        Whether its first line is an object, and another line follows.
    """
    with file.open() as lines:
        first, second = (lines.readline(LONGEST_LINE).removeprefix(b"\xef\xbb\xbf") for _ in range(2))
    try:
        return bool(second.strip()) and isinstance(parse_json(first, file.path), dict)
    except InputError:
        return False


def _holds_rows(rows: list[Any]) -> bool:
    return bool(rows) and all(isinstance(row, dict) for row in rows[:10])
