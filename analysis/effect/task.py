"""What a model is tried on: questions, who labels and who grades the responses, and text that should not change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from ...models import LanguageModel
from ...organisms import (
    is_solved,
    organism_annotator,
    organism_traces,
    problem_of,
    problems,
)
from ...organisms import (
    prompt as prompt_of,
)
from ...rundir import InputError
from ...traces import Annotator, encode, keyword_annotator
from ...traces.questions import Grader, Question, mathematics
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
    questions: Sequence[Question] | None = None,
    *,
    n_problems: int,
    seed: int = 0,
) -> Task:
    """The usual task: an organism's own problems, by rule; else the given questions, tell-tale words and mathematics.

    An organism is tried on validation problems, so that a dose can be chosen. Raises InputError for a model that is no
    organism and no questions.
    """
    tokens = telltale_tokens(model, behaviours)
    if is_organism(model):
        asked = [
            Question(problem=problem.group, prompt=prompt_of(problem))
            for problem in islice(problems("validation", seed), n_problems)
        ]
        traces = organism_traces(model, N_NEUTRAL_TRACES, split="validation", seed=seed + 1)
        neutral = tuple(tuple(each.token_ids.tolist()) for each in encode(model, traces))
        return Task(
            questions=tuple(questions or asked)[:n_problems],
            annotator=organism_annotator,
            grader=_solves,
            neutral=neutral,
            tokens=tokens,
        )
    if not questions:
        raise InputError(
            f"{model.name} needs questions to answer: give a JSONL file of `question` and `answer` (--questions)"
        )
    asked = list(questions)[:n_problems]
    plain = tuple(tuple(model.tokenizer(text)["input_ids"]) for text in NEUTRAL)
    return Task(
        questions=tuple(asked),
        annotator=keyword_annotator,
        grader=mathematics if all(question.answer is not None for question in asked) else None,
        neutral=plain,
        tokens=tokens,
    )


def _solves(question: Question, response: str) -> bool:
    return is_solved(problem_of(question.prompt), response)
