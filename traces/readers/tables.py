"""Read rows from CSV and Parquet, a part of the table at a time; cells without a value are left out of a row."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

from ...rundir import InputError
from ...rundir.errors import short
from .source import RowFile, parsing

MOST_COLUMNS = 1_000
ROWS_AT_ONCE = 256
LONGEST_LINE = 1 << 24  # bytes of the line of names
SEPARATORS = (",", ";", "\t")


def csv_rows(file: RowFile) -> Iterator[tuple[str, Any]]:
    """Read the rows of a table in text, whose first line names the columns.

    The separator is the comma, semicolon or tab that occurs most often in the first line.

    Args:
        file: The file.

    Yields:
        Where each row stands ("FILE, row 3"; the line of names is none), and the row, every value a text.

    Raises:
        InputError: It is no such table, or has more than 1,000 columns.
    """
    import pandas as pd

    file.beginning()  # refuses UTF-16
    with file.open() as content:
        first_line = content.readline(LONGEST_LINE).decode("utf-8-sig", errors="replace")
    separator = ","
    if "tsv" in file.name.rpartition(".")[2] or any(mark in first_line for mark in SEPARATORS):
        separator = max(SEPARATORS, key=first_line.count)
    with parsing(file.path, "a CSV table"):
        _check_width(_width(file, separator), file)
        options: dict[str, Any] = {"dtype": str, "keep_default_na": False, "na_values": [], "encoding": "utf-8-sig"}
        options |= {"sep": separator, "chunksize": ROWS_AT_ONCE}
        number = 0
        with file.open() as content, pd.read_csv(content, **options) as parts:
            for part in parts:
                if not isinstance(part.index, pd.RangeIndex):
                    raise InputError(f"{short(file.path)} has rows with more cells than the first line has names")
                for row in part.to_dict("records"):
                    number += 1
                    texts = {str(name): value for name, value in row.items() if isinstance(value, str) and value}
                    yield f"{file.path}, row {number}", texts


def parquet_rows(file: RowFile) -> Iterator[tuple[str, Any]]:
    """Read the rows of a Parquet file.

    Args:
        file: The file.

    Yields:
        Where each row stands, and the row.

    Raises:
        InputError: pyarrow is missing, the file is no Parquet file, or it has more than 1,000 columns.
    """
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise InputError(f"{file.path} needs the package pyarrow: `pip install 'reasonlens[readers]'`") from error
    with parsing(file.path, "a Parquet file"), file.seekable() as content:
        table = parquet.ParquetFile(content)
        _check_width(len(table.schema_arrow.names), file)
        number = 0
        for part in table.iter_batches(batch_size=ROWS_AT_ONCE):
            for row in part.to_pylist():
                number += 1
                yield f"{file.path}, row {number}", {name: value for name, value in row.items() if value is not None}


def _width(file: RowFile, separator: str) -> int:
    """Count the cells of the names and of the first row, over whose width pandas would take minutes."""
    with file.open() as content:
        lines = (line.decode("utf-8", errors="replace") for line in iter(partial(content.readline, LONGEST_LINE), b""))
        rows = (row for row in csv.reader(lines, delimiter=separator) if row)
        try:
            return max(map(len, islice(rows, 2)), default=0)
        except csv.Error:  # a long cell: pandas says what is wrong, if anything is
            return 0


def _check_width(n_columns: int, file: RowFile) -> None:
    if n_columns > MOST_COLUMNS:
        raise InputError(
            f"{short(file.path)} has {n_columns:,} columns, and a table of traces at most {MOST_COLUMNS:,}: one for "
            "each field, a row for each trace. Is it turned on its side, or a matrix?"
        )
