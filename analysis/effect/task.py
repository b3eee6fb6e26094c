"""What a model is tried on: questions, who labels and who grades the responses, and text that should not change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ...models import LanguageModel
from ...organisms import (
    is_solved,
    organism_annotator,
    organisms_traces,
    problem_of,
    problems,
)
from ...organisms import (
    prompt as prompt_of,
)
from ...rundir import InputError
from ...traces import Annotator, encode, keyword_annotator
from ...traces.problem_sets import ProblemSet, resolve_questions
from ...traces.questions import Grader, Question
from ...vectors.neutral import NEUTRAL
from .telltale import is_organism, telltale_tokens

N_NEUTRAL_TRACES = 8


@dataclass(frozen=True, eq=False, kw_only=True)
class Task:
    """Everything about the text, for one model."""

    questions: tuple[Question, ...]
    annotator: Annotator
    grader: Grader | None  # None: nothing says what is right
    neutral: tuple[tuple[int, ...], ...]  # token ids
    tokens: dict[str, int]  # the tell-tale token of each behaviour that has one


def task_for(
    model: LanguageModel,
    behaviours: Sequence[str],
    questions: str | Path | ProblemSet | Sequence[Question] | None = None,
    *,
    n_problems: int,
    seed: int = 0,
) -> Task:
    """The usual task: an organism's own problems, by rule; else `questions`, tell-tale words and the questions' grader.

    An organism is tried on validation problems, so that a strength can be chosen. Raises InputError for a model that is
    no organism and no questions.
    """
    tokens = telltale_tokens(model, behaviours)
    if is_organism(model):
        asked = [
            Question(problem=problem.group, prompt=prompt_of(problem))
            for problem in islice(problems("validation", seed), n_problems)
        ]
        traces = organisms_traces(model, N_NEUTRAL_TRACES, split="validation", seed=seed + 1)
        neutral = tuple(tuple(each.token_ids.tolist()) for each in encode(model, traces))
        return Task(
            questions=resolve_questions(questions, n_problems, seed)[0] if questions else tuple(asked),
            annotator=organism_annotator,
            grader=_solves,
            neutral=neutral,
            tokens=tokens,
        )
    if not questions:
        raise InputError(
            f"{model.name} needs problems to solve: give --problems (questions=): gsm8k, math-500, reasoning-gym:KIND, "
            "or a file of `question` and `answer`"
        )
    own_questions, grader = resolve_questions(questions, n_problems, seed)
    plain = tuple(tuple(model.tokenizer(text)["input_ids"]) for text in NEUTRAL)
    return Task(
        questions=own_questions,
        annotator=keyword_annotator,
        grader=grader,
        neutral=plain,
        tokens=tokens,
    )


def _solves(question: Question, response: str) -> bool:
    return is_solved(problem_of(question.prompt), response)
