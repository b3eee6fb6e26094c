"""Open problem sets by name or from a file: questions for a model, and the rule that grades its answers.

gsm8k                   GSM8K's test questions (Cobbe et al. 2021, arXiv 2110.14168), from the Hugging Face hub
math-500                500 of MATH's test questions (Hendrycks et al. 2021; Lightman et al. 2023), from the hub
reasoning-gym:<kind>    generated on request (`procedural.py`)
a .jsonl or .parquet    any file of questions and answers, such as a downloaded one of the above
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..models.hub import asked_once
from ..rundir import InputError, brief, did_you_mean, members_of
from .procedural import procedural
from .question_files import question_of, read_questions
from .questions import Grader, Question, mathematics

# Name -> repository on the hub, its configuration, and its split.
HUB: dict[str, tuple[str, str | None, str]] = {
    "gsm8k": ("openai/gsm8k", "main", "test"),
    "math-500": ("HuggingFaceH4/MATH-500", None, "test"),
}
PROCEDURAL = "reasoning-gym:"
N_PROCEDURAL = 1000  # default number of generated questions


@dataclass(frozen=True, eq=False, slots=True)
class ProblemSet:
    """Questions, and the rule that grades answers to them."""

    name: str
    questions: tuple[Question, ...]
    grader: Grader

    __repr__ = brief

    @property
    def digest(self) -> str:
        """The digest of every question and answer, for the provenance of results."""
        content = [[question.problem, question.prompt, question.answer] for question in self.questions]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def resolve_questions(
    questions: str | Path | ProblemSet | Sequence[Question], n: int, seed: int = 0
) -> tuple[tuple[Question, ...], Grader | None]:
    """Find the questions, and the rule that grades answers to them, of whatever names or holds them.

    Args:
        questions: What `open_problem_set` takes, a problem set, or questions.
        n: The first `n` questions are used, at most. A generated set gets so many questions.
        seed: Seed of a generated set.

    Returns:
        The questions and the grader; questions without an answer to each have no grader.

    Raises:
        InputError: The problem set cannot be opened.
    """
    if isinstance(questions, str | Path):
        is_generated = str(questions).startswith(PROCEDURAL)
        questions = open_problem_set(questions, n if is_generated else None, seed)
    grader: Grader = mathematics
    if isinstance(questions, ProblemSet):
        grader, questions = questions.grader, questions.questions
    else:
        remedy = "give Question(problem, prompt, answer), or the name or file of a problem set"
        questions = members_of(questions, Question, "questions", remedy)
    first = tuple(questions)[:n]
    has_answers = all(question.answer is not None for question in first)
    return first, grader if has_answers or grader is not mathematics else None


def open_problem_set(name_or_path: str | Path, n: int | None = None, seed: int = 0) -> ProblemSet:
    """Open the problem set of a name or file.

    Args:
        name_or_path: A name in `HUB`, reasoning-gym:<kind>, or a .jsonl or .parquet file.
        n: How many questions, chosen at random from a set that has more. None means all, or 1000 of a generated set.
        seed: Seed of the choice, or of a generated set.

    Returns:
        The problem set.

    Raises:
        InputError: There is no such set or file, it has fewer than `n` questions, or a package or a connection is
            missing.
    """
    name = str(name_or_path)
    if n is not None and n < 1:
        raise InputError(f"a problem set holds at least one question, and {n} are asked for")
    if name.startswith(PROCEDURAL):
        generated, grader = procedural(name.removeprefix(PROCEDURAL), N_PROCEDURAL if n is None else n, seed)
        return ProblemSet(name, tuple(generated), grader)
    if Path(name).is_file():
        questions = _parquet(name) if name.endswith(".parquet") else read_questions(name)
    elif name in HUB:
        questions = _from_hub(name)
    else:
        raise InputError(
            f"{name} is no file and no problem set; there are {', '.join(HUB)}, {PROCEDURAL}<kind>, and any .jsonl or "
            f".parquet file of `question` and `answer`.{did_you_mean(name, HUB)}"
        )
    if n is not None and n > len(questions):
        raise InputError(f"{name} has {len(questions)} questions, and {n} are asked for")
    if n is not None:
        order = np.random.default_rng(seed).permutation(len(questions))[:n]
        questions = [questions[number] for number in order.tolist()]
    return ProblemSet(name, tuple(questions), mathematics)


def _from_hub(name: str) -> list[Question]:
    repository, configuration, part = HUB[name]
    remedy = f"or download its file and give the path of that (.jsonl or .parquet, of {repository})"
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise InputError(
            f"{name} needs the package datasets: `pip install 'reasonlens[problems]'`; {remedy}"
        ) from error
    try:
        with asked_once(repository):
            rows: Any = load_dataset(repository, configuration, split=part)
    except (OSError, ValueError) as error:  # ConnectionError and what is not found are OSErrors
        raise InputError(
            f"cannot fetch {name} ({repository}) from the hub: {error}. Try again with a connection, {remedy}"
        ) from error
    return [question_of(row, f"{name}, row {number}") for number, row in enumerate(rows, start=1)]


def _parquet(path: str) -> list[Question]:
    import pandas as pd

    try:
        table = pd.read_parquet(path)
        rows = table.astype(object).where(table.notna(), None).to_dict("records")
    except ImportError as error:
        raise InputError(f"{path} needs the package pyarrow: `pip install pyarrow`") from error
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read questions from {path}: {error}") from error
    if not rows:
        raise InputError(f"{path} holds no question")
    return [question_of(row, f"{path}, row {number}") for number, row in enumerate(rows, start=1)]
