"""Open pairs by what names or holds models and problems."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..models import load
from ..models._load import ModelLike
from ..models.organism import names_organism
from ..models.steered_name import split_name
from ..rundir import InputError, members_of
from ..traces.problem_sets import PROCEDURAL, ProblemSet, open_problem_set
from ..traces.questions import Question, mathematics
from .pair import Pair, organism_pair, own_base, question_pair

logger = logging.getLogger(__name__)

TRAINED_ORGANISMS = ("organism/rl-timing", "organism/sft-timing", "organism/rl-skill", "organism/sft-skill")

# What holds problems: a name (`gsm8k`), a file, a set of them with its grader, or questions.
Problems = str | Path | ProblemSet | Sequence[Question]


def open_pairs(
    base: ModelLike | None,
    thinking: ModelLike | Sequence[ModelLike],
    problems: Problems | None = None,
    *,
    n_train: int,
    n_validation: int,
    n_test: int,
    seed: int = 0,
    device: str | None = None,
) -> list[Pair]:
    """Make a pair of the base with each thinking model.

    Args:
        base: Model that writes; None: of each organism the base that it was trained from.
        thinking: Model that says when, or several.
        problems: What both are asked; None: organisms by name or directory, which have problems of their own.
        n_train: Problems on which the thinking model writes.
        n_validation: Problems on which is chosen.
        n_test: Problems on which is measured, at most.
        seed: Of the order in which organisms' and procedural problems are drawn.
        device: For models given by name; default CUDA where there is one.

    Raises:
        InputError: A model cannot be found, models have no problems, or there are too few of them.
    """
    names = [thinking] if isinstance(thinking, str) or not isinstance(thinking, Sequence) else list(thinking)
    counts: dict[str, Any] = {"n_train": n_train, "n_validation": n_validation, "n_test": n_test}
    if problems is None:
        named = names if base is None else [base, *names]
        others = [name for name in named if not names_organism(name)]
        if others:
            raise InputError(
                f"{' and '.join(map(str, others))} {'need' if len(others) > 1 else 'needs'} problems to solve: give "
                "--problems: gsm8k, math-500, reasoning-gym:KIND or a file of questions and answers"
            )
        return [organism_pair(str(name), None if base is None else str(base), seed=seed, **counts) for name in names]
    problem_set = problem_set_of(problems, sum(counts.values()), seed)
    bases = _bases(base, names)
    models = {name: load(name, device=device) for name in dict.fromkeys(bases)}
    pairs = [
        question_pair(
            models[own], load(name, device=device), problem_set.questions, grader=problem_set.grader, **counts
        )
        for own, name in zip(bases, names, strict=True)
    ]
    if len(pairs[0].test) < n_test:
        logger.info(f"{len(pairs[0].test)} questions are left to test on, of {n_test} asked for")
    return pairs


def _bases(base: ModelLike | None, thinking: Sequence[ModelLike]) -> list[ModelLike]:
    """Find the base of each thinking model."""
    if base is not None:
        return [base] * len(thinking)
    others = [name for name in thinking if not (names_organism(name) or _has_vectors(name))]
    if others:
        raise InputError(f"the base of {others[0]} is not known: give --base (base=)")
    return [own_base(str(name)) for name in thinking]


def _has_vectors(model: ModelLike) -> bool:
    """Tell whether something names a model with vectors, whose base is the same without them."""
    return isinstance(model, str | Path) and split_name(str(model)) is not None


def problem_set_of(problems: Problems, n_procedural: int, seed: int) -> ProblemSet:
    """Open what names or holds problems.

    Args:
        problems: What is given.
        n_procedural: How many problems are made where they are made by rule.
        seed: Of their order.

    Returns:
        The problems and their grader.

    Raises:
        InputError: They cannot be found or read.
    """
    if isinstance(problems, ProblemSet):
        return problems
    if isinstance(problems, str | Path):
        name = str(problems)
        return open_problem_set(name, n_procedural if name.startswith(PROCEDURAL) else None, seed=seed)
    remedy = "give Question(problem, prompt, answer), or the name or file of a problem set"
    return ProblemSet("questions", members_of(problems, Question, "problems", remedy), mathematics)
