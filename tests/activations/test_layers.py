from __future__ import annotations

import pytest

from reasonlens import InputError
from reasonlens.activations import parse_layers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all", list(range(12))),
        ("3", [3]),
        ("-1", [-1]),
        ("0,4,6:10:2", [0, 4, 6, 8]),
        ("10:", [10, 11]),
        ("-2:", [10, 11]),
        ("::5", [0, 5, 10]),
    ],
)
def test_layers_are_read_as_numbers_and_ranges(text: str, expected: list[int]) -> None:
    assert list(parse_layers(text, 12)) == expected


@pytest.mark.parametrize("text", ["", "x", "1,,2", "1:2:3:4", "3.5"])
def test_unreadable_layers_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="cannot read layers"):
        parse_layers(text, 12)


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(InputError, match=r"'5:5' name none of the 12 blocks \(0..11\)"):
        parse_layers("5:5", 12)
