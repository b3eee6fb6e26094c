"""Read questions with their answers.

A JSONL file has one object a line: `question` (or `prompt`, `problem`) and `answer` (or `solution`). Of an answer that
ends in `#### 42`, as GSM8K's do, or holds `\\boxed{42}`, that part is used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from numbers import Number
from pathlib import Path
from typing import Any

from ..rundir import InputError, parse_json, shown
from .questions import Question
from .readers.fields import checked_text

QUESTION = ("question", "prompt", "problem")
ANSWER = ("answer", "solution")
PROBLEM = ("id", "unique_id")


def read_questions(path: str | Path) -> list[Question]:
    """Read the questions of a JSONL file; raise InputError with the line that cannot be used."""
    try:
        lines = Path(path).read_text("utf-8-sig").split("\n")  # not splitlines: JSON may hold other line separators
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read questions from {path}: {error}") from error
    places = [(f"{path}, line {number}", line) for number, line in enumerate(lines, start=1) if line.strip()]
    questions = [question_of(parse_json(line, place), place) for place, line in places]
    if not questions:
        raise InputError(f"{path} holds no question; each line is a JSON object with `question` and `answer`")
    return questions


def question_of(row: Any, place: str) -> Question:
    """Make a question of a row of a file.

    Args:
        row: What stands there.
        place: Where, for messages.

    Returns:
        The question; its problem is its `id`, or else its own text.

    Raises:
        InputError: There is no question, or its answer is neither a text nor a number.
    """
    if not isinstance(row, Mapping):
        row = {}
    prompt = next((row[key] for key in QUESTION if isinstance(row.get(key), str) and row[key].strip()), None)
    if prompt is None:
        raise InputError(f"{place}: no question in it; one of {', '.join(QUESTION)} must hold a text")
    answer = next((row[key] for key in ANSWER if row.get(key) is not None), None)
    if isinstance(answer, bool) or not isinstance(answer, str | Number | None):
        raise InputError(f"{place}: an answer is a text or a number, and {shown(answer)} is neither")
    problem = next((str(row[key]) for key in PROBLEM if row.get(key) is not None), prompt)
    try:
        for name, text in (("question", prompt), ("problem", problem), ("answer", str(answer))):
            checked_text(text, name)
    except InputError as error:
        raise InputError(f"{place}: {error}") from error
    return Question(problem=problem, prompt=prompt, answer=None if answer is None else final_answer(str(answer)))


def final_answer(text: str) -> str:
    """Return the text after the last `####`, or all of it without one."""
    return re.split(r"####", text)[-1].strip()
