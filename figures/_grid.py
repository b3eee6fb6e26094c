"""Arrange cells of a tidy table as a matrix, in the order in which rows and columns first occur."""

from __future__ import annotations

from typing import Any

import pandas as pd


def in_order(values: pd.Series[Any]) -> list[Any]:
    """List the values of a column once each, in the order of the table."""
    return list(dict.fromkeys(values.tolist()))


def grid(table: pd.DataFrame, row: str, column: str, value: str) -> list[list[Any]]:
    """Arrange one column of a table as a matrix.

    Args:
        table: At most one row for each pair of `row` and `column`.
        row: Column whose values become the rows of the matrix.
        column: Column whose values become its columns.
        value: Column that fills the cells; NaN where the table has no row.

    Returns:
        A list of rows, each a list of plain values.

    Raises:
        ValueError: Two rows of the table are of the same cell.
    """
    if (twice := table.duplicated([row, column])).any():
        one, other = table.loc[twice, [row, column]].astype(object).to_numpy().tolist()[0]
        raise ValueError(f"two rows for the {row} {one!r} and the {column} {other!r}")
    wide = table.pivot(index=row, columns=column, values=value)
    cells: list[list[Any]] = wide.loc[in_order(table[row]), in_order(table[column])].to_numpy().tolist()
    return cells
