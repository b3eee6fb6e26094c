from __future__ import annotations

import pytest

from reasonlens import segment


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One two three. Four five six!", ["One two three.", "Four five six!"]),
        ("Pi is 3.14 or so. That is near 22/7.", ["Pi is 3.14 or so.", "That is near 22/7."]),
        ("Use a prime, e.g. 7 here. Then we go on.", ["Use a prime, e.g. 7 here.", "Then we go on."]),
        (
            "Dr. Smith agrees with it. So does Mr. Jones today.",
            ["Dr. Smith agrees with it.", "So does Mr. Jones today."],
        ),
        ("Cats, dogs, etc. are pets. Yes they are.", ["Cats, dogs, etc. are pets.", "Yes they are."]),
        ("Cats, dogs, etc. They are pets.", ["Cats, dogs, etc.", "They are pets."]),
        ("See no. 5 for that. The answer is no. We stop.", ["See no. 5 for that.", "The answer is no."]),
        (
            "1. Add the two numbers.\n2. Halve the sum of them.",
            ["1. Add the two numbers.", "2. Halve the sum of them."],
        ),
        ("A first half; and a second half", ["A first half;", "and a second half"]),
        ('Is it so? "It is, he said." Fine by me.', ["Is it so?", '"It is, he said."', "Fine by me."]),
        ("Wait. That cannot be right at all...", ["That cannot be right at all..."]),
        ("  \n ", []),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in segment(text)] == expected


def test_short_pieces_are_kept_when_asked_for() -> None:
    text = "Wait. No."
    assert [text[start:end] for start, end in segment(text, min_words=1)] == ["Wait.", "No."]
