"""Write the files that every result has: plain values, its table, the tables of its figures, a page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from .atomic import write_csv, write_json, write_text
from .errors import InputError

RESULTS, TABLE, TABLES, REPORT = "results.json", "table.csv", "tables", "report.html"


class Tabulated(Protocol):
    """A result or table that converts to plain values."""

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON."""
        ...


class Written(Tabulated, Protocol):
    """A result, as far as all results are written in the same way."""

    def to_frame(self) -> pd.DataFrame:
        """Tabulate the result."""
        ...

    def tables(self) -> Mapping[str, Tabulated]:
        """Tabulate each figure by its name."""
        ...


def check_format(content: Mapping[str, Any], expected: str) -> None:
    """Check that plain values are those of one kind of result.

    Args:
        content: Plain values, as read from JSON.
        expected: The `format` that they must have: name and version.

    Raises:
        InputError: The format is another.
    """
    actual = content.get("format") if isinstance(content, Mapping) else None
    if actual != expected:
        raise InputError(
            f"this is no {expected}, its format is {actual!r}: read it with what wrote it, or write the result again"
        )


def write_result(directory: str | Path, result: Written, report: str) -> None:
    """Write results.json, table.csv, tables/NAME.json for each figure and report.html, each atomically.

    Args:
        directory: Created if it does not exist; files of these names are replaced.
        result: The result.
        report: The page, HTML.

    Raises:
        InputError: A file cannot be written.
    """
    place = Path(directory)
    write_csv(place / TABLE, result.to_frame())
    for name, table in result.tables().items():
        write_json(place / TABLES / f"{name}.json", table.to_dict())
    write_text(place / REPORT, report)
    write_json(place / RESULTS, result.to_dict())
