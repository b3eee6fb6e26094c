"""Let each arm answer the same test problems with the same random numbers, and estimate what it solves.

An answer is right (in whatever form), and it is right in form. The gain in right answers in form is what was rewarded;
the gain in right answers is what lies beyond the format. Intervals are over problems, paired with the base.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ...models import LanguageModel
from ...rundir import RowLog, RunDirectory, brief
from ...rundir.progress import with_progress
from ...stats import Interval, accuracy_difference_over_groups, accuracy_over_groups, gap_recovered_over_groups
from ...traces.questions import Question
from .arms import BASE, THINKING, VECTORS, Role, VectorArm
from .settings import RewardSettings
from .task import RewardTask

ANSWERS = "answers.jsonl"
COLUMNS = {
    "model": str,
    "arm": str,
    "number": int,
    "problem": str,
    "response": str,
    "is_solved": bool,
    "is_in_form": bool,
    "tokens": int,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmFigures:
    """What an arm solved; intervals are over problems.

    Attributes:
        model: The base that it ran on.
        arm: Its name.
        role: What it is there for.
        accuracy: Right answers, in whatever form.
        in_form: Right answers in the form that is rewarded.
        gain: Accuracy less that of the base.
        gain_in_form: The same of right answers in form.
        share_of_gain: Its gain in form as a share of that of all vectors; NaN where these gain nothing.
        gap: Share of the gap between base and thinking model, of right answers in form; None without a thinking
            model, NaN where there is no gap.
        tokens: Mean length of a response.
    """

    model: str
    arm: str
    role: Role
    accuracy: Interval
    in_form: Interval
    gain: Interval
    gain_in_form: Interval
    share_of_gain: Interval
    gap: Interval | None
    tokens: float

    __repr__ = brief


def answer_all(
    task: RewardTask,
    jobs: Sequence[tuple[str, LanguageModel, VectorArm]],
    settings: RewardSettings,
    run: RunDirectory,
    progress: bool = True,
) -> RowLog:
    """Let every arm answer the test problems.

    Args:
        task: The problems.
        jobs: What the base of each arm is called, the model that runs, and the arm.
        settings: How many responses.
        run: Where they are kept.
        progress: Whether progress is shown.

    Returns:
        A row for each base, arm and response.
    """
    log = run.log(ANSWERS, key=("model", "arm", "number"), columns=COLUMNS)
    questions = questions_of_test(task, settings)
    for name, model, arm in with_progress(jobs, desc="arms", unit="arm", progress=progress):
        if (name, arm.name, len(questions) - 1) in log:
            continue
        steered = model if arm.vectors is None else model.with_vectors(arm.vectors)
        responses = task.respond(steered, questions, settings.seed)
        grades = task.grades(model, questions, responses)
        log.add(
            [
                {
                    "model": name,
                    "arm": arm.name,
                    "number": number,
                    "problem": question.problem,
                    "response": task.text(model, response),
                    "is_solved": grade.is_solved,
                    "is_in_form": grade.is_in_form,
                    "tokens": len(response),
                }
                for number, (question, response, grade) in enumerate(zip(questions, responses, grades, strict=True))
            ]
        )
    return log


def questions_of_test(task: RewardTask, settings: RewardSettings) -> list[Question]:
    """List the test questions, each as often as responses are sampled to it."""
    return [question for question in task.test for _ in range(settings.sampling.n_samples)]


def figures_of(log: RowLog, arms: Sequence[tuple[str, VectorArm]]) -> list[ArmFigures]:
    """Estimate what each arm solved.

    Args:
        log: Of `answer_all`.
        arms: What the base of each arm is called, and the arm; each base runs alone and with all vectors.

    Returns:
        Figures in the order of the arms.
    """
    answers = {(model, arm.name): _Answers.of(log, model, arm.name) for model, arm in arms}
    figures = []
    for model, arm in arms:
        own, base, full = (answers[model, name] for name in (arm.name, BASE, VECTORS))
        reference = answers.get((model, THINKING))
        groups = own.problems
        figures.append(
            ArmFigures(
                model=model,
                arm=arm.name,
                role=arm.role,
                accuracy=accuracy_over_groups(own.solved, groups),
                in_form=accuracy_over_groups(own.in_form, groups),
                gain=accuracy_difference_over_groups(own.solved, base.solved, groups),
                gain_in_form=accuracy_difference_over_groups(own.in_form, base.in_form, groups),
                share_of_gain=gap_recovered_over_groups(base.in_form, full.in_form, own.in_form, groups).share,
                gap=None
                if reference is None
                else gap_recovered_over_groups(base.in_form, reference.in_form, own.in_form, groups).share,
                tokens=own.tokens,
            )
        )
    return figures


@dataclass(frozen=True, eq=False, slots=True)
class _Answers:
    problems: list[str]
    solved: Float[np.ndarray, " n_questions"]
    in_form: Float[np.ndarray, " n_questions"]
    tokens: float

    @classmethod
    def of(cls, log: RowLog, model: str, arm: str) -> _Answers:
        rows = [row for (one, other, _), row in log.items() if (one, other) == (model, arm)]
        return cls(
            problems=[str(row["problem"]) for row in rows],
            solved=np.array([float(bool(row["is_solved"])) for row in rows]),
            in_form=np.array([float(bool(row["is_solved"] and row["is_in_form"])) for row in rows]),
            tokens=float(np.mean([row["tokens"] for row in rows])),
        )
