from __future__ import annotations

import pytest

from reasonlens import InputError
from reasonlens.activations import parse_layers
from reasonlens.activations.layers import choose_layers, written_layers


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all", (2, 5, 8, 11)),
        ("2:9", (2, 5, 8)),
        ("-5:", (8, 11)),
        ("8,2", (2, 8)),
        ("-1", (11,)),
        ("5,all", (2, 5, 8, 11)),
        ("3", (3,)),  # named by itself: for the caller to refuse
    ],
)
def test_of_a_range_those_layers_are_chosen_that_there_are(text: str, expected: tuple[int, ...]) -> None:
    assert choose_layers(text, (2, 5, 8, 11), 12) == expected


def test_a_range_without_a_layer_that_there_is_names_those_that_there_are() -> None:
    with pytest.raises(InputError, match="layers '3:5' name none of those that there are: 2, 5, 8, 11"):
        choose_layers("3:5", (2, 5, 8, 11), 12)


def test_layers_in_a_row_are_written_as_a_range() -> None:
    assert written_layers(range(30)) == "0..29" and written_layers((4, 5, 6)) == "4..6"
    assert written_layers((0, 2, 4)) == "0, 2, 4" and written_layers((3, 4)) == "3, 4" and written_layers(()) == ""
