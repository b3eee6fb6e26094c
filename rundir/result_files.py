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
    """What plain values can be had of."""

    def to_dict(self) -> dict[str, Any]:
        """Give plain values for JSON."""
        ...


class Written(Tabulated, Protocol):
    """A result, as far as it is written everywhere the same."""

    def to_frame(self) -> pd.DataFrame:
        """Tabulate the result."""
        ...

    def tables(self) -> Mapping[str, Tabulated]:
        """Tabulate each figure by its name."""
        ...


def check_format(content: Mapping[str, Any], expected: str) -> None:
    """Check that plain values are those of one kind of result.

    Args:
        content: What was read from JSON.
        expected: Name and version that its `format` must say.

    Raises:
        InputError: They are of another kind or version.
    """
    actual = content.get("format") if isinstance(content, Mapping) else None
    if actual != expected:
        raise InputError(
            f"this is no {expected}, its format is {actual!r}: read it with what wrote it, or write the result again"
        )


def write_result(directory: str | Path, result: Written, report: str) -> None:
    """Write results.json, table.csv, tables/NAME.json for each figure and report.html, each atomically.

    Args:
        directory: Made where there is none; files of these names are replaced.
        result: What is written.
        report: The page.

    Raises:
        InputError: A file cannot be written.
    """
    place = Path(directory)
    write_csv(place / TABLE, result.to_frame())
    for name, table in result.tables().items():
        write_json(place / TABLES / f"{name}.json", table.to_dict())
    write_text(place / REPORT, report)
    write_json(place / RESULTS, result.to_dict())
