from __future__ import annotations

import pytest

from reasonlens import InputError, Span, Trace


def test_traces_of_one_prompt_are_one_problem_unless_told_otherwise() -> None:
    assert Trace("a", "Why?", "Because.").problem == Trace("b", "Why?", "No idea.").problem
    assert Trace("a", "Why?", "Because.", (), "p1").problem == "p1"
    assert Trace("a", "", "Because.").problem == "a"


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (3, 3), (5, 4), (0, 10)])
def test_a_span_outside_its_text_is_named(start: int, end: int) -> None:
    with pytest.raises(InputError, match=f"trace 'x': span {start}..{end} .*does not lie in its text of 9 characters"):
        Trace("x", "", "Some text", (Span(start, end, "deduction"),))


def test_overlapping_spans_of_one_label_are_refused_and_of_two_labels_are_not() -> None:
    Trace("x", "", "Some text", (Span(0, 6, "deduction"), Span(4, 9, "backtracking")))
    with pytest.raises(InputError, match=r"two spans of 'deduction' overlap \(0..6 and 4..9\)"):
        Trace("x", "", "Some text", (Span(4, 9, "deduction"), Span(0, 6, "deduction")))
