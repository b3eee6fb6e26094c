from __future__ import annotations

from pathlib import Path

import pytest

from reasonlens.rundir import InputError
from reasonlens.traces.question_files import read_questions
from reasonlens.traces.questions import Question


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
    [
        ("", "holds no question"),
        ("{", "line 1: not valid JSON"),
        ('{"a": 1}', "line 1: no question"),
        ("[1]", "no question"),
        ('{"question": "a", "answer": {"a": 1}}', "line 1: an answer is a text or a number, and .* is neither"),
        ('{"question": "a", "answer": true}', "line 1: an answer is a text or a number"),
        ('\n{"question": "a\\ud83d", "answer": "1"}', "line 2: 'question' holds half of a surrogate pair"),
        ('{"question": "a", "answer": "\\ud83d"}', "line 1: 'answer' holds half of a surrogate pair"),
        ('{"question": "a", "id": "\\ud83d"}', "line 1: 'problem' holds half of a surrogate pair"),
    ],
)
def test_files_without_questions_are_refused_by_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_questions(path)
    with pytest.raises(InputError, match="cannot read questions"):
        read_questions(tmp_path / "absent")


def test_a_byte_order_mark_is_read_over(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text('{"question": "How many?", "answer": 2}', "utf-8-sig")
    assert read_questions(path) == [Question("How many?", "How many?", "2")]


def test_lines_end_at_newlines_alone_and_a_missing_id_is_no_name(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(
        '{"question": "a\u2028b\u0085c", "answer": 1, "id": null}\n{"question": "d", "id": null}\n', "utf-8"
    )
    found = read_questions(path)
    assert [each.problem for each in found] == ["a\u2028b\u0085c", "d"]
