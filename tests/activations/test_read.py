from __future__ import annotations

import pytest

from reasonlens import InputError, Read


@pytest.mark.parametrize(
    ("read", "span", "expected"),
    [
        (Read.mean(), (5, 9), [5, 6, 7, 8]),
        (Read.first(), (5, 9), [5]),
        (Read.last(), (5, 9), [8]),
        (Read.before(), (5, 9), [4]),
        (Read.before(3), (5, 9), [2, 3, 4]),
        (Read.before(3), (1, 9), [0]),
        (Read.before(), (0, 4), []),
        (Read.window(0, 2), (5, 9), [5, 6]),
        (Read.window(0, 9), (5, 9), [5, 6, 7, 8]),
        (Read.window(2, 4), (5, 7), []),
        (Read.window(-12, -7), (20, 22), [8, 9, 10, 11, 12]),  # arXiv 2507.12638
    ],
)
def test_a_read_takes_these_positions(read: Read, span: tuple[int, int], expected: list[int]) -> None:
    assert list(read.positions(*span)) == expected


@pytest.mark.parametrize("span", [(5, 6), (5, 9), (5, 15), (5, 16), (5, 40), (1, 3)])
def test_the_published_window_is_start_minus_one_to_the_lesser_of_end_minus_one_and_start_plus_ten(
    span: tuple[int, int],
) -> None:
    start, end = span  # arXiv 2506.18167: [start - 1, min(end - 1, start + 10))
    assert list(Read.window(-1, 10).positions(start, end)) == list(range(start - 1, min(end - 1, start + 10)))


@pytest.mark.parametrize("text", ["mean", "first", "last", "before:1", "before:4", "window:-1:10", "window:2:5"])
def test_a_read_survives_being_written_and_parsed(text: str) -> None:
    assert str(Read.parse(text)) == text


@pytest.mark.parametrize("text", ["", "median", "before:0", "before:x", "window:3", "window:1:2:3"])
def test_an_unknown_read_says_what_there_is(text: str) -> None:
    with pytest.raises(InputError, match="unknown read .* use mean, first, last, before:N"):
        Read.parse(text)


def test_a_window_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(InputError, match="must end after it begins, and 3:3 does not"):
        Read.parse("window:3:3")
