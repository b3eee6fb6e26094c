from __future__ import annotations

from pathlib import Path

import pytest

from reasonlens.models import InputError
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
