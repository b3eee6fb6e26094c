"""Read questions with their answers.

A JSONL file has one object a line: `question` (or `prompt`, `problem`) and `answer` (or `solution`). Of an answer that
ends in `#### 42`, as GSM8K's do, or holds `\\boxed{42}`, that part is used.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..rundir import InputError, parse_json
from .questions import Question

QUESTION = ("question", "prompt", "problem")
ANSWER = ("answer", "solution")


def read_questions(path: str | Path) -> list[Question]:
    """Read the questions of a JSONL file; raise InputError with the line that cannot be used."""
    try:
        lines = Path(path).read_text("utf-8").split("\n")  # not splitlines: JSON may hold other line separators
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read questions from {path}: {error}") from error
    questions = [_question(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not questions:
        raise InputError(f"{path} holds no question; each line is a JSON object with `question` and `answer`")
    return questions


def _question(path: str | Path, number: int, line: str) -> Question:
    row = parse_json(line, f"{path}, line {number}")
    prompt = next((row[key] for key in QUESTION if key in row), None) if isinstance(row, dict) else None
    if not isinstance(prompt, str) or not prompt.strip():
        raise InputError(f"{path}, line {number}: no question in it; one of {', '.join(QUESTION)} must hold a text")
    answer = next((str(row[key]) for key in ANSWER if row.get(key) is not None), None)
    name = row.get("id")
    return Question(
        problem=prompt if name is None else str(name), prompt=prompt, answer=answer and final_answer(answer)
    )


def final_answer(text: str) -> str:
    """Return the text after the last `####`, or all of it without one."""
    return re.split(r"####", text)[-1].strip()
