"""Problem sets: what a model is asked, the answer that is right, and grading by rule.

A JSONL file has one object a line: `question` (or `prompt`, `problem`) and `answer` (or `solution`). Of an answer that
ends in `#### 42`, as GSM8K's do, or holds `\\boxed{42}`, that part is taken. Of a response, what stands after its last
`</think>`: the last `\\boxed{...}` there, else the number after "answer is", else the last formula or number. Both are
compared as mathematics (math-verify), not as text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..rundir import InputError

QUESTION = ("question", "prompt", "problem")
ANSWER = ("answer", "solution")


@dataclass(frozen=True, slots=True)
class Question:
    """One problem as it is put to a model."""

    problem: str  # the group that resampling keeps together
    prompt: str
    answer: str | None = None  # None where nobody says what is right


# A new way of grading is one function of this type: whether the response answers the question.
Grader = Callable[[Question, str], bool]


def read_questions(path: str | Path) -> list[Question]:
    """The questions of a JSONL file. Raises InputError with the line that cannot be used."""
    try:
        lines = Path(path).read_text("utf-8").split("\n")  # not splitlines: JSON may hold other line separators
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read questions from {path}: {error}") from error
    found = [_question(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not found:
        raise InputError(f"{path} holds no question; each line is a JSON object with `question` and `answer`")
    return found


def _question(path: str | Path, number: int, line: str) -> Question:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise InputError(f"{path}, line {number}: no JSON ({error})") from error
    asked = next((row[key] for key in QUESTION if key in row), None) if isinstance(row, dict) else None
    if not isinstance(asked, str) or not asked.strip():
        raise InputError(f"{path}, line {number}: no question in it; one of {', '.join(QUESTION)} must hold a text")
    answer = next((str(row[key]) for key in ANSWER if row.get(key) is not None), None)
    name = row.get("id")
    return Question(problem=asked if name is None else str(name), prompt=asked, answer=answer and final_answer(answer))


def final_answer(text: str) -> str:
    """What stands behind the last `####`, else the whole text."""
    return re.split(r"####", text)[-1].strip()


def last_said(response: str) -> str:
    """The part of a response that answers: its last complete `\\boxed{...}`, else all that follows its thoughts."""
    after = response.rsplit("</think>", 1)[-1]
    begin = after.rfind("\\boxed{")
    while begin >= 0:
        depth = 0
        for end in range(begin, len(after)):
            depth += (after[end] == "{") - (after[end] == "}")
            if after[end] == "}" and depth == 0:
                return after[begin : end + 1]
        begin = after.rfind("\\boxed{", 0, begin)
    return after


def mathematics(question: Question, response: str) -> bool:
    """Whether what `response` says last (`last_said`) equals the answer of the question."""
    from math_verify import parse, verify

    if question.answer is None:
        raise InputError(f"the question {question.prompt!r:.60} has no answer to grade by")
    expected = parse(question.answer if "\\boxed" in question.answer else f"\\boxed{{{question.answer}}}")
    return bool(verify(expected, parse(last_said(response))))
