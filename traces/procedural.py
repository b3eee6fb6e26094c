"""Generate any number of problems with reasoning-gym (Stojanovski et al. 2025, arXiv 2505.24760) and its own scorers.

Every question asks for the final answer between <answer> and </answer>, also for the base model, so that a difference
in knowing the format is not counted as one in reasoning. The last such answer of a response counts, and only a full
score is right; the scorers give part of it to a text that merely holds the answer. A few of them (`countdown` and other
expressions) pass the answer to sympy's parser, which evaluates it: use those only with models whose code you would run.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

from ..rundir import InputError
from .questions import Grader, Question

FORMAT = "\n\nGive the final answer between <answer> and </answer>."
N_ATTEMPTS = 20  # entries generated for each question, since small kinds repeat themselves

_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)


def procedural(kind: str, n: int, seed: int) -> tuple[list[Question], Grader]:
    """Generate `n` different questions of a kind (`chain_sum`), and return them with the grader of that kind.

    Raises InputError without reasoning-gym, for an unknown kind, and for one that has too few questions.
    """
    try:
        gym: Any = import_module("reasoning_gym")
        known: Any = import_module("reasoning_gym.factory").DATASETS
    except ImportError as error:
        raise InputError(
            f"reasoning-gym:{kind} needs the package reasoning-gym ({error}); install it with "
            "`pip install 'reasonlens[problems]'`"
        ) from error
    if kind not in known:
        raise InputError(f"reasoning-gym has no data set {kind!r}; it has {', '.join(sorted(known))}")
    try:
        dataset: Any = gym.create_dataset(kind, size=N_ATTEMPTS * n, seed=seed)
    except (AssertionError, ValueError, TypeError) as error:
        raise InputError(f"reasoning-gym cannot make {kind} without more settings: {error}") from error
    entries: dict[str, dict[str, Any]] = {}
    for number in range(N_ATTEMPTS * n):
        entry = dataset[number]
        entries.setdefault(entry["question"] + FORMAT, entry)
        if len(entries) == n:
            break
    else:
        raise InputError(
            f"reasoning-gym:{kind} made {len(entries)} different questions, and {n} are wanted; take fewer"
        )

    def grade(question: Question, response: str) -> bool:
        if question.prompt not in entries:
            raise InputError(f"{question.prompt!r:.60} is none of the {n} questions that were made of {kind}")
        answers = _ANSWER.findall(response)
        try:
            return bool(answers) and dataset.score_answer(answers[-1].strip(), entries[question.prompt]) >= 1
        except Exception:  # scorers that cannot parse an answer raise errors of many kinds
            return False

    return [
        Question(
            problem=f"{kind}: {entry['question']}",
            prompt=prompt,
            answer=None if entry["answer"] is None else str(entry["answer"]),
        )
        for prompt, entry in entries.items()
    ], grade
