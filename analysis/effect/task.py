"""Choose what a model is tested on: questions, an annotator and a grader of responses, and neutral text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ...models import LanguageModel
from ...organisms import is_organism, is_solved, organism_annotator, problem_of, problems
from ...rundir import InputError
from ...traces import Annotator, keyword_annotator
from ...traces.problem_sets import ProblemSet, resolve_questions
from ...traces.questions import Grader, Question
from .damage import neutral_texts
from .telltale import telltale_tokens


@dataclass(frozen=True, eq=False, kw_only=True)
class Task:
    """Questions, annotator, grader and neutral text, for one model."""

    questions: tuple[Question, ...]
    annotator: Annotator
    grader: Grader | None  # None if it cannot be decided what is right
    neutral: Sequence[Sequence[int]]  # token ids
    tokens: dict[str, int]  # the tell-tale token of each behaviour that has one


def task_for(
    model: LanguageModel,
    behaviours: Sequence[str],
    questions: str | Path | ProblemSet | Sequence[Question] | None = None,
    *,
    n_problems: int,
    seed: int = 0,
) -> Task:
    """Make the usual task of a model.

    An organism answers its own validation problems, so that a strength can be chosen on them, and is labelled and
    graded exactly. Any other model answers `questions`, is labelled by tell-tale words and graded by the problem set.

    Args:
        model: The model.
        behaviours: Behaviours whose tell-tale tokens are looked up.
        questions: Questions, or the name or file of a problem set.
        n_problems: Most problems to answer.
        seed: Seed of the choice of problems.

    Returns:
        The task.

    Raises:
        InputError: The model is no organism, and there are no questions.
    """
    tokens = telltale_tokens(model, behaviours)
    if is_organism(model):
        own_problems = [
            Question(problem=problem.group, prompt=problem.prompt)
            for problem in islice(problems("validation", seed), n_problems)
        ]
        return Task(
            questions=resolve_questions(questions, n_problems, seed)[0] if questions else tuple(own_problems),
            annotator=organism_annotator,
            grader=_solves,
            neutral=neutral_texts(model, seed + 1),
            tokens=tokens,
        )
    if not questions:
        raise InputError(
            f"{model.name} needs problems to solve: give --problems (questions=): gsm8k, math-500, reasoning-gym:KIND, "
            "or a file of `question` and `answer`"
        )
    own_questions, grader = resolve_questions(questions, n_problems, seed)
    return Task(
        questions=own_questions,
        annotator=keyword_annotator,
        grader=grader,
        neutral=neutral_texts(model),
        tokens=tokens,
    )


def _solves(question: Question, response: str) -> bool:
    return is_solved(problem_of(question.prompt), response)
