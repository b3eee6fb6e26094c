from __future__ import annotations

from pathlib import Path

import pytest

from reasonlens.rundir import InputError
from reasonlens.traces.questions import Question, mathematics, read_questions


def test_questions_are_read_with_the_answer_that_counts(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(
        '{"question": "How many?", "answer": "2 * 9 = 18\\n#### 18"}\n\n'
        '{"problem": "Half of 1?", "solution": "$\\\\boxed{\\\\frac12}$", "id": "h"}\n{"prompt": "Why?"}\n'
    )
    assert read_questions(path) == [
        Question("How many?", "How many?", "18"),
        Question("h", "Half of 1?", "$\\boxed{\\frac12}$"),
        Question("Why?", "Why?", None),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "holds no question"), ("{", "line 1: no JSON"), ('{"a": 1}', "line 1: no question"), ("[1]", "no question")],
)
def test_files_without_questions_are_refused_by_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_questions(path)
    with pytest.raises(InputError, match="cannot read questions"):
        read_questions(tmp_path / "absent")


@pytest.mark.parametrize(
    ("answer", "response", "is_right"),
    [
        ("18", "So she makes 9 * 2 = $18 every day.", True),
        ("18", "So she makes 81.", False),
        ("$\\boxed{\\frac12}$", "The answer is \\boxed{0.5}.", True),
        ("1,000", "That gives 1000.", True),
        ("18", "First 18, but then the answer is 20.", False),
        ("18", "", False),
    ],
)
def test_responses_are_compared_as_mathematics(answer: str, response: str, is_right: bool) -> None:
    assert mathematics(Question("p", "p", answer), response) is is_right


def test_a_question_without_an_answer_cannot_be_graded() -> None:
    with pytest.raises(InputError, match="has no answer to grade by"):
        mathematics(Question("p", "p"), "18")


@pytest.mark.parametrize(
    ("response", "said"),
    [
        ("<think>Maybe \\boxed{4}. Wait, no.</think> Therefore the answer is \\boxed{5}.", "5"),
        ("<think>It could be \\boxed{4}.</think> The answer is 5.", "5"),
        ("\\boxed{1} and then \\boxed{2}", "2"),
        ("so \\boxed{\\frac{1}{2}}, that is one half", "0.5"),
        ("\\boxed{3} and, cut off, \\boxed{4", "3"),
        ("First 7, then 8.", "8"),
    ],
)
def test_what_is_said_last_is_graded_and_nothing_before(response: str, said: str) -> None:
    for answer in ("0.5", "1", "2", "3", "4", "5", "7", "8"):
        assert mathematics(Question("p", "q", answer), response) is (answer == said), answer


def test_lines_end_at_newlines_alone_and_a_missing_id_is_no_name(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(
        '{"question": "a\u2028b\u0085c", "answer": 1, "id": null}\n{"question": "d", "id": null}\n', "utf-8"
    )
    found = read_questions(path)
    assert [each.problem for each in found] == ["a\u2028b\u0085c", "d"]
