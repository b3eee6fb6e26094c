"""What vectors are trained on: problems, how a model answers them, and what an answer earns.

    organisms       1 for a solved problem, 0.5 less with a sentence off the grammar: the reward of their own training
    questions       1 for the right answer in the form that is asked for, `partial` for it in another form, else 0

A response has two grades: whether its answer is right, however it is put, and whether it has the form. So a gain can be
split into format and what lies beyond it.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from transformers import LlamaForCausalLM

from ...generation import encode_prompts, generate
from ...generation.writing import thought_openers
from ...models import LanguageModel
from ...organisms import Problem, Split, is_organism, problem_of, problems
from ...organisms.corpus import decode, encode_prompt
from ...organisms.sampling import readings, respond
from ...organisms.training.reinforce import ReinforceSettings, rewards
from ...rundir import InputError, brief
from ...traces.encoding import Template
from ...traces.questions import Grader, Question
from ..opening import Problems, problem_set_of
from ..pair import question_pair
from .settings import Form, RewardSettings

ORGANISM = "organism"  # problems of the organisms' own
_NUMBER = re.compile(r"\s*[-+$]?\d[\d,]*(?:\.\d+)?\s*\.?\s*")


@dataclass(frozen=True, slots=True)
class Grade:
    """What a response is worth."""

    reward: float
    is_solved: bool  # the answer is right, in whatever form
    is_in_form: bool

    __repr__ = brief


@dataclass(frozen=True, eq=False, kw_only=True)
class RewardTask(ABC):
    """Problems to train on and others to test on."""

    train: tuple[Question, ...]
    test: tuple[Question, ...]
    settings: RewardSettings
    template: Template = "auto"  # of prompts

    @abstractmethod
    def prompts(self, model: LanguageModel, questions: Sequence[Question]) -> list[list[int]]:
        """Encode questions as a model is asked them."""

    @abstractmethod
    def respond(self, model: LanguageModel, questions: Sequence[Question], seed: int) -> list[list[int]]:
        """Let a model answer questions.

        Args:
            model: The model, with or without vectors.
            questions: What it is asked; equal ones get responses of their own.
            seed: Of the random numbers, which are the same for every model.

        Returns:
            Token ids of the responses.
        """

    @abstractmethod
    def text(self, model: LanguageModel, response: Sequence[int]) -> str:
        """Decode a response."""

    @abstractmethod
    def grades(
        self, model: LanguageModel, questions: Sequence[Question], responses: Sequence[Sequence[int]]
    ) -> list[Grade]:
        """Grade responses."""

    @property
    def inputs(self) -> list[list[list[str | None]]]:
        """List all questions and answers, for the comparison of runs."""
        return [
            [[question.problem, question.prompt, question.answer] for question in part]
            for part in (self.train, self.test)
        ]


@dataclass(frozen=True, eq=False, kw_only=True)
class OrganismTask(RewardTask):
    """The problems of the organisms, rewarded as they were in the organisms' own training."""

    def prompts(self, model: LanguageModel, questions: Sequence[Question]) -> list[list[int]]:
        return [encode_prompt(problem) for problem in _problems_of(questions)]

    def respond(self, model: LanguageModel, questions: Sequence[Question], seed: int) -> list[list[int]]:
        assert isinstance(model.model, LlamaForCausalLM), "organisms are Llamas"
        return respond(model.model, _problems_of(questions), seed, n_rows=self.settings.n_rows)

    def text(self, model: LanguageModel, response: Sequence[int]) -> str:
        return " ".join(decode(response))

    def grades(
        self, model: LanguageModel, questions: Sequence[Question], responses: Sequence[Sequence[int]]
    ) -> list[Grade]:
        read = readings(_problems_of(questions), responses)
        earned = rewards(read, ReinforceSettings(), np.random.default_rng(0)).tolist()
        return [
            Grade(reward, reading.is_solved, reading.is_grammatical)
            for reward, reading in zip(earned, read, strict=True)
        ]


@dataclass(frozen=True, eq=False, kw_only=True)
class QuestionTask(RewardTask):
    """Questions with answers, graded by rule."""

    grader: Grader

    def prompts(self, model: LanguageModel, questions: Sequence[Question]) -> list[list[int]]:
        return encode_prompts(model, [question.prompt for question in questions], self.template)

    def respond(self, model: LanguageModel, questions: Sequence[Question], seed: int) -> list[list[int]]:
        prompts, sampling = self.prompts(model, questions), self.settings.sampling
        return generate(model, prompts, sampling, seed=seed, n_rows=self.settings.n_rows)

    def text(self, model: LanguageModel, response: Sequence[int]) -> str:
        decoded = model.tokenizer.decode(list(response), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return str(decoded)

    def grades(
        self, model: LanguageModel, questions: Sequence[Question], responses: Sequence[Sequence[int]]
    ) -> list[Grade]:
        openers = thought_openers(model, self.prompts(model, questions))
        grades = []
        for question, response, opener in zip(questions, responses, openers, strict=True):
            text = self.text(model, response)
            is_solved = self.grader(question, opener + text) is True
            is_in_form = has_form(text, self.settings.form)
            earned = 1.0 if is_in_form else self.settings.partial
            grades.append(Grade(earned * is_solved, is_solved, is_in_form))
        return grades


def has_form(response: str, form: Form) -> bool:
    """Tell whether a response has the form that is asked for."""
    if form == "line":
        response = response.strip().partition("\n")[0]
    return form == "any" or _NUMBER.fullmatch(response) is not None


def open_task(
    base: LanguageModel, problem_source: Problems | None, settings: RewardSettings, template: Template = "plain"
) -> RewardTask:
    """Open the problems that vectors are trained on.

    Args:
        base: The model that answers.
        problem_source: What names or holds problems; `organism` or None: those of the organisms.
        settings: How many.
        template: Whether questions go through the chat template.

    Returns:
        The task.

    Raises:
        InputError: The problems cannot be found, are too few, or are not for this model.
    """
    if problem_source is None or problem_source == ORGANISM:
        if not is_organism(base):
            raise InputError(
                f"{base.name} needs problems to solve: give --problems: gsm8k, math-500, reasoning-gym:KIND or a file "
                "of questions and answers; those of organisms are for organisms"
            )
        if settings.form != "any":
            raise InputError(
                f"answers of organisms have one form, and {settings.form!r} is not theirs: leave --form out"
            )
        train, test = (
            tuple(Question(problem.group, problem.prompt) for problem in islice(problems(split, settings.seed), n))
            for split, n in _counts(settings)
        )
        return OrganismTask(train=train, test=test, settings=settings)
    if is_organism(base):
        raise InputError(f"{base.name} is asked problems of its own language only: --problems organism")
    problem_set = problem_set_of(problem_source, settings.n_train + settings.n_test, settings.seed)
    pair = question_pair(
        base,
        base,
        problem_set.questions,
        n_train=settings.n_train,
        n_validation=0,
        n_test=settings.n_test,
        grader=problem_set.grader,
    )
    return QuestionTask(
        train=pair.train, test=pair.test, settings=settings, grader=problem_set.grader, template=template
    )


def _problems_of(questions: Sequence[Question]) -> list[Problem]:
    return [problem_of(question.prompt) for question in questions]


def _counts(settings: RewardSettings) -> tuple[tuple[Split, int], ...]:
    return ("train", settings.n_train), ("test", settings.n_test)
