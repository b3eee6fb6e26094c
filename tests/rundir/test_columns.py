"""Rows of JSON with strict types, and dataclasses made from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from reasonlens.rundir import columns_of, from_row, to_row
from reasonlens.rundir.columns import fault


@dataclass(frozen=True)
class Inner:
    """Held by another."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Record:
    """One field of each kind of list."""

    counts: tuple[int, ...]
    shares: tuple[float, ...]
    known: tuple[float | None, ...]
    flags: list[bool]
    inner: Inner


RECORD = Record((1, 2), (0.5, 1.0), (None, 0.25), [True, False], Inner(("a", "b")))
ROW: dict[str, Any] = {
    **{"counts": [1, 2], "shares": [0.5, 1.0], "known": [None, 0.25], "flags": [True, False]},
    "inner": {"names": ["a", "b"]},
}


def test_a_record_becomes_a_row_and_comes_back() -> None:
    assert to_row(RECORD) == ROW and fault(ROW, columns_of(Record)) is None
    assert from_row(Record, ROW) == RECORD
    assert to_row(RECORD)["flags"] is not RECORD.flags


def test_whole_numbers_among_numbers_become_floats_in_lists_too() -> None:
    restored = from_row(Record, ROW | {"shares": [1, 0.5], "known": [None, 2]})
    assert [type(share) for share in restored.shares] == [float, float] and restored.shares == (1.0, 0.5)
    assert type(restored.known[1]) is float


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("counts", [1] * 1000 + [True]),
        ("counts", [1, 2.0]),
        ("shares", [0.5, False]),
        ("shares", [0.5, None]),
        ("known", ["0.5"]),
        ("flags", [True, 1]),
        ("flags", [True, "false"]),
        ("counts", "12"),
    ],
)
def test_one_entry_of_another_type_in_a_long_list_is_found(field: str, value: object) -> None:
    assert str(fault(ROW | {field: value}, columns_of(Record))).startswith(f"{field} is ")
