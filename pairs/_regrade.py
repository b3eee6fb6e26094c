"""Grade published answers of a base, a thinking model and a hybrid anew, and put intervals on what they show.

A file holds, for each problem, what each model answered (the form of the release of arXiv 2510.07364):

    {"results": {"correct_count": {"hybrid_model": 422, ...}},
     "tasks": [{"question": ..., "correct_answer": "... #### 18", "model_answers": {"base_model": ..., ...},
                "hybrid_stats": {"steered_count": 31, "total_tokens": 420}}, ...]}

Answers are graded by rule (`mathematics`): right, wrong, or unsure. Accuracies and the gap recovered have intervals
over problems, unclipped; a test of signs compares the hybrid with either model; published counts stand beside ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ..figures import FigureTable, draw_all, result_page
from ..rundir import InputError, brief, check_kinds, expanded, from_row, looked_at, read_json, restoring, to_row
from ..rundir.result_files import check_format, write_result
from ..stats import (
    Interval,
    RecoveredGap,
    accuracy_over_groups,
    gap_recovered_over_groups,
    sign_flip_test_over_groups,
)
from ..traces.question_files import final_answer
from ..traces.questions import Grader, Question, mathematics

FORMAT = "reasonlens.regraded/1"
BASE, THINKING, HYBRID = "base", "thinking", "hybrid"
TITLE = "Published answers, graded anew"
LEAD = "Answers that were published, graded by rule, beside the grades that were published with them."


@dataclass(frozen=True, kw_only=True)
class PublishedKeys:
    """Name the fields of a file of published answers.

    Attributes:
        base: Of the base's answer.
        thinking: Of the thinking model's.
        hybrid: Of the hybrid's.
        tasks: Of the list of problems.
        question: Of the question.
        answer: Of the reference answer.
        answers: Of the models' answers, an object by model.
    """

    base: str = "base_model"
    thinking: str = "thinking_model"
    hybrid: str = "hybrid_model"
    tasks: str = "tasks"
    question: str = "question"
    answer: str = "correct_answer"
    answers: str = "model_answers"

    __repr__ = brief

    @property
    def arms(self) -> dict[str, str]:
        """Arm -> its field."""
        return {BASE: self.base, THINKING: self.thinking, HYBRID: self.hybrid}


@dataclass(frozen=True, slots=True, kw_only=True)
class RegradedArm:
    """One model of the file.

    Attributes:
        accuracy: Share of the questions that are right, over problems; what is unsure is not right.
        unsure: Share whose grade cannot be told: accuracy is higher by so much if all of these are right.
        n_right: Questions that are right.
        n_published: The same as published; None: not in the file.
        p_against_hybrid: Of a sign-flip test over problems, two-sided; exact where it can be counted. 1 for the hybrid.
    """

    accuracy: Interval
    unsure: float
    n_right: int
    n_published: int | None
    p_against_hybrid: float

    __repr__ = brief


@dataclass(frozen=True, eq=False, kw_only=True)
class Regraded:
    """What published answers show by rule."""

    arms: dict[str, RegradedArm]
    gap: RecoveredGap
    steered: float  # share of the hybrid's tokens, as published; NaN: not in the file
    n_questions: int
    keys: PublishedKeys = field(default_factory=PublishedKeys)

    def to_frame(self) -> pd.DataFrame:
        """Tabulate one row for each arm; intervals in `_low` and `_high`."""
        share = self.gap.share
        gaps = {BASE: (0.0, 0.0, 0.0), THINKING: (1.0, 1.0, 1.0), HYBRID: (share.value, share.low, share.high)}
        return pd.DataFrame(
            [
                {
                    "arm": name,
                    "accuracy": arm.accuracy.value,
                    "accuracy_low": arm.accuracy.low,
                    "accuracy_high": arm.accuracy.high,
                    "unsure": arm.unsure,
                    "n_right": arm.n_right,
                    "n_published": arm.n_published,
                    "p_against_hybrid": arm.p_against_hybrid,
                    **dict(zip(("gap", "gap_low", "gap_high"), gaps[name], strict=True)),
                    "steered": self.steered if name == HYBRID else 0.0,
                    "n": self.n_questions,
                    "n_problems": arm.accuracy.n,
                }
                for name, arm in self.arms.items()
            ]
        )

    def tables(self) -> dict[str, FigureTable]:
        """Tabulate each figure by its name."""
        rows = self.to_frame().assign(pair="published")
        rows["role"] = ["hybrid" if name == HYBRID else "end" for name in rows["arm"]]
        rows = rows.astype(dict.fromkeys(("gap", "gap_low", "gap_high", "steered"), float)).fillna({"steered": 0.0})
        caption = f"n = {self.n_questions} questions, 95% interval over problems, unclipped; 0: base, 1: thinking model"
        return {"gap": FigureTable(figure="gap_bars", rows=rows, options={"title": TITLE, "caption": caption})}

    def figures(self) -> dict[str, go.Figure]:
        """Draw all figures, by name."""
        return draw_all(self.tables())

    def figure(self) -> go.Figure:
        """Draw the gap recovered, with its interval."""
        return self.figures()["gap"]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; None for NaN."""
        return {"format": FORMAT} | to_row(self)

    @classmethod
    @restoring
    def from_dict(cls, content: Mapping[str, Any]) -> Regraded:
        """Read what `to_dict` returned.

        Args:
            content: Plain values.

        Returns:
            The result.

        Raises:
            InputError: It is no result of this version.
        """
        check_format(content, FORMAT)
        return from_row(cls, {name: value for name, value in content.items() if name != "format"})

    def report(self) -> str:
        """Write one page that opens offline."""
        return result_page(TITLE, LEAD, self.figures(), self.to_frame(), [self._headline()])

    def write(self, directory: str | Path) -> None:
        """Write results.json, table.csv, tables/gap.json and report.html.

        Args:
            directory: Made if there is none.

        Raises:
            InputError: It cannot be written.
        """
        write_result(expanded(directory), self, self.report())

    @looked_at(".figure(), .to_frame()")
    def __repr__(self) -> str:
        return f"Regraded({self._headline()})"

    def _repr_html_(self) -> str:
        """Show the arms."""
        return self.to_frame().to_html(index=False, float_format="{:.3f}".format, na_rep="–")

    def _headline(self) -> str:
        recovered = self.gap.no_gap or f"the hybrid recovers {self.gap.share} of the gap"
        return f"{self.n_questions} questions, {self.arms[BASE].accuracy.n} problems: {recovered}"


def regrade(file: str | Path, keys: PublishedKeys | None = None, *, grader: Grader = mathematics) -> Regraded:
    """Grade the answers of a file by rule.

    Args:
        file: JSON of published answers.
        keys: Names of its fields; default those of the first release.
        grader: Grades an answer.

    Returns:
        Accuracies, the gap recovered with its interval, tests, and published counts.

    Raises:
        InputError: The file cannot be read, or a problem lacks a field; it is named with its place.
    """
    keys = keys or PublishedKeys()
    place = expanded(file)
    content = check_kinds(read_json(place, "published answers"), {keys.tasks: list}, place)
    tasks = content[keys.tasks]
    if len(tasks) < 2:
        raise InputError(f"{place} holds {len(tasks)} problems in {keys.tasks!r}: an interval needs two or more")
    questions = [_question(task, number, keys, place) for number, task in enumerate(tasks)]
    grades = {
        arm: [
            grader(question, _text(task[keys.answers], key, f"{keys.tasks}[{number}].{keys.answers}", place))
            for number, (question, task) in enumerate(zip(questions, tasks, strict=True))
        ]
        for arm, key in keys.arms.items()
    }
    groups = [question.problem for question in questions]
    if len(set(groups)) < 2:
        raise InputError(f"{place} holds one problem only: an interval needs two or more")
    solved = {arm: np.array([grade is True for grade in some], dtype=np.float64) for arm, some in grades.items()}
    published = _published_counts(content)
    return Regraded(
        arms={
            arm: RegradedArm(
                accuracy=accuracy_over_groups(solved[arm], groups),
                unsure=float(np.mean([grade is None for grade in grades[arm]])),
                n_right=int(solved[arm].sum()),
                n_published=published.get(key),
                p_against_hybrid=sign_flip_test_over_groups(solved[arm], solved[HYBRID], groups).p,
            )
            for arm, key in keys.arms.items()
        },
        gap=gap_recovered_over_groups(solved[BASE], solved[THINKING], solved[HYBRID], groups),
        steered=_steered(tasks),
        n_questions=len(questions),
        keys=keys,
    )


def _question(task: Any, number: int, keys: PublishedKeys, place: Path) -> Question:
    where = f"{keys.tasks}[{number}]"
    prompt, answer = (_text(task, key, where, place) for key in (keys.question, keys.answer))
    if not isinstance(task.get(keys.answers), dict):
        raise InputError(f"{place}: {where} holds no object {keys.answers!r} of the models' answers; name its field")
    return Question(problem=prompt, prompt=prompt, answer=final_answer(answer))


def _text(holder: Any, key: str, where: str, place: Path) -> str:
    value = holder.get(key) if isinstance(holder, dict) else None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        known = ", ".join(map(str, holder)) if isinstance(holder, dict) else "no fields"
        raise InputError(f"{place}: {where} holds no text {key!r} (it holds {known}); name the field that does")
    return value


def _published_counts(content: Mapping[str, Any]) -> dict[str, int]:
    results = content.get("results")
    counts = results.get("correct_count") if isinstance(results, dict) else None
    if not isinstance(counts, dict):
        return {}
    return {str(name): count for name, count in counts.items() if isinstance(count, int)}


def _steered(tasks: Sequence[Any]) -> float:
    """Compute the share of the hybrid's tokens that were steered; NaN where not every problem says so."""
    stats = [task.get("hybrid_stats") for task in tasks]
    counts = [
        (one["steered_count"], one["total_tokens"])
        for one in stats
        if isinstance(one, dict)
        and isinstance(one.get("steered_count"), int)
        and isinstance(one.get("total_tokens"), int)
    ]
    n_tokens = sum(total for _, total in counts)
    return sum(steered for steered, _ in counts) / n_tokens if len(counts) == len(tasks) and n_tokens else float("nan")
