"""A pair of base and thinking model, and the problems that it is trained, tuned and tested on.

Three sets without a common problem: on `train` the thinking model writes what vectors and gates are made of; on
`validation` layer, strength and threshold are chosen; on `test` everything is measured once.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from ..generation import encode_prompts
from ..models import LanguageModel, load
from ..models.organism import PREFIX, base_of, is_member_name, organism_files
from ..models.steered_name import split_name
from ..organisms import Split, is_organism, is_solved, organism_annotator, problem_of, problems
from ..organisms.task import MAX_RESPONSE_TOKENS
from ..rundir import InputError, brief, expanded
from ..traces import Annotator, Template, keyword_annotator
from ..traces.questions import Grader, Question, mathematics

STEP_BY_STEP = "\n\nLet's think step by step."


@dataclass(frozen=True, eq=False, kw_only=True)
class Pair:
    """Two models and the text they are measured on."""

    name: str
    base: LanguageModel
    thinking: LanguageModel
    train: tuple[Question, ...]
    validation: tuple[Question, ...]
    test: tuple[Question, ...]
    grader: Grader
    annotator: Annotator
    base_template: Template = "plain"  # the bare question
    thinking_template: Template = "auto"
    limit_tokens: int | None = None  # by the rules of the task: a longer response is wrong, not cut off
    step_by_step: str | None = STEP_BY_STEP  # what the chain-of-thought arm adds to a question; None: no such arm

    LOOK = ".base, .thinking"
    __repr__ = brief

    @property
    def digest(self) -> str:
        """Of every question and answer, set by set: what the pair is measured on."""
        sets = [[[question.problem, question.prompt, question.answer] for question in part] for part in self._sets]
        return hashlib.sha256(json.dumps(sets).encode()).hexdigest()

    @property
    def chance(self) -> float | None:
        """Compute the accuracy of one answer given to every test question; None where answers are not given."""
        answers = [question.answer for question in self.test]
        if not answers or any(answer is None for answer in answers):
            return None
        return max(Counter(answers).values()) / len(answers)

    @property
    def can_be_prompted(self) -> bool:
        """Tell whether the base could be asked to reason: the language of organisms has no words for it."""
        return self.step_by_step is not None or not is_organism(self.base)

    @property
    def _sets(self) -> tuple[tuple[Question, ...], ...]:
        return self.train, self.validation, self.test


def organism_pair(
    thinking: str, base: str | None = None, *, n_train: int, n_validation: int, n_test: int, seed: int = 0
) -> Pair:
    """Make a pair of an organism and its base, on problems of their language, labelled and graded by rule.

    Args:
        thinking: Name of the organism, or directory of a member of a family.
        base: Name or directory of its base; None: what it was trained from.
        n_train: Problems on which the thinking model writes.
        n_validation: Problems on which is chosen.
        n_test: Problems on which is measured.
        seed: Of the order in which problems are drawn.

    Returns:
        The pair.

    Raises:
        InputError: There is no such organism, or it is a base itself and none is named.
    """
    base = base or own_base(thinking)

    def questions(split: Split, n: int) -> tuple[Question, ...]:
        split_problems = islice(problems(split, seed), n)
        return tuple(Question(problem.group, problem.prompt) for problem in split_problems)

    return Pair(
        name=thinking.removeprefix("organism/"),
        base=load(base, device="cpu"),
        thinking=load(thinking, device="cpu"),
        train=questions("train", n_train),
        validation=questions("validation", n_validation),
        test=questions("test", n_test),
        grader=_solves,
        annotator=organism_annotator,
        base_template="auto",
        limit_tokens=MAX_RESPONSE_TOKENS,
        step_by_step=None,  # their language has no words for it
    )


def own_base(thinking: str) -> str:
    """Name the base that an organism was trained from; of a model with vectors, the model without.

    Args:
        thinking: Name of the organism or of a checkpoint of it, directory of a member of a family, or MODEL+FILE.

    Returns:
        Name or directory of the base.

    Raises:
        InputError: There is no such organism, or it is a base itself.
    """
    steered = split_name(thinking)
    if steered is not None:
        return steered[0]
    is_built_in = thinking.startswith(PREFIX)
    directory = organism_files(thinking.split("@")[0])[0] if is_built_in else expanded(_without_step(thinking))
    base = base_of(directory)
    if base is None:
        raise InputError(f"{thinking} is a base itself, not a model that was trained from one: name its base too")
    return PREFIX + base if is_built_in else str(directory.parent / base)


def _without_step(name: str) -> str:
    """Leave the step of a checkpoint out of its name."""
    directory, at, _ = name.rpartition("@")
    return directory if at and is_member_name(name) else name


def question_pair(
    base: LanguageModel,
    thinking: LanguageModel,
    questions: Sequence[Question],
    *,
    n_train: int,
    n_validation: int,
    n_test: int,
    grader: Grader = mathematics,
    annotator: Annotator = keyword_annotator,
    name: str | None = None,
) -> Pair:
    """Any two models on one list of questions, parted by a digest of each problem: always in the same way.

    Questions of one problem stay in one set. A thinking model that is a base with vectors is asked the bare question,
    as its base is. Raises InputError where there are too few questions.
    """
    groups: dict[str, dict[str, Question]] = {}
    for question in questions:
        groups.setdefault(question.problem, {}).setdefault(question.prompt, question)
    sets: list[list[Question]] = [[], [], []]
    set_sizes = (n_train, n_validation, n_test)
    place = 0
    for problem in sorted(groups, key=_place):
        while place < 3 and len(sets[place]) >= set_sizes[place]:
            place += 1
        if place == 3:
            break
        sets[place] += groups[problem].values()  # whole: a problem is never in two sets
    if len({question.problem for question in sets[2]}) < 2:
        raise InputError(
            f"{len(groups)} problems are too few for {n_train} to train, {n_validation} to choose and some to test on; "
            "give more, or lower --train and --validation"
        )
    if is_organism(base):
        grader, annotator = _solves, organism_annotator
    return Pair(
        name=name or thinking.name,
        base=base,
        thinking=thinking,
        train=tuple(sets[0]),
        validation=tuple(sets[1]),
        test=tuple(sets[2][:n_test]),
        grader=grader,
        annotator=annotator,
        thinking_template="auto" if thinking.vectors is None else "plain",  # vectors alone set such a pair apart
        limit_tokens=MAX_RESPONSE_TOKENS if is_organism(base) else None,
        step_by_step=None if is_organism(base) else STEP_BY_STEP,
    )


def encoded(
    pair: Pair, questions: Sequence[Question], *, step_by_step: bool = False
) -> tuple[list[list[int]], list[list[int]]]:
    """Prompts as base and thinking model read them, in their own tokens."""
    added = pair.step_by_step or "" if step_by_step else ""
    own = encode_prompts(pair.base, [f"{question.prompt}{added}" for question in questions], pair.base_template)
    return own, encode_prompts(pair.thinking, [question.prompt for question in questions], pair.thinking_template)


def check_lengths(pair: Pair) -> None:
    """Raises InputError, before anything is run, for a question that one of the models cannot read."""
    for part in (pair.train, pair.validation, pair.test):
        try:
            prompts = encoded(pair, part, step_by_step=True)
        except InputError as error:
            raise InputError(f"leave out what a model cannot read: {error}") from error
        for model, model_prompts in zip((pair.base, pair.thinking), prompts, strict=True):
            for question, ids in zip(part, model_prompts, strict=True):
                if model.context_tokens is not None and len(ids) >= model.context_tokens:
                    raise InputError(
                        f"{question.prompt!r:.60} has {len(ids)} tokens, and {model.name} reads "
                        f"{model.context_tokens}: leave it out of the problems"
                    )


def _place(problem: str) -> str:
    return hashlib.sha256(problem.encode()).hexdigest()


def _solves(question: Question, response: str) -> bool:
    return is_solved(problem_of(question.prompt), response)
