"""A second opinion: a language model grades what the rule has graded, asked about final answers only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...rundir import InputError
from ...stats import Interval, RecoveredGap, gap_recovered_over_groups
from ...traces.agreement import Agreement, agreement
from ...traces.judge import Judge
from ..pair import Pair
from .arms import BASE, HYBRID, THINKING
from .measure import check_problems
from .pair_run import PairRun

JUDGED = (BASE, THINKING, HYBRID, "probe-gated")


@dataclass(frozen=True, eq=False, kw_only=True)
class Judged:
    """What a judge says of a pair's arms, beside the rule. A response that it would not grade counts as wrong."""

    model: str
    accuracy: dict[str, float]  # arm -> share that the judge calls right
    agreement: dict[str, Agreement]  # arm -> of judge and rule
    gap: RecoveredGap  # that the hybrid recovers, by the judge

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, with None for what is not known."""
        share = self.gap.share.to_dict()
        return {
            "model": self.model,
            "accuracy": self.accuracy,
            "agreement": {name: arm.to_json() for name, arm in self.agreement.items()},
            "gap": share,
            "no_gap": self.gap.no_gap,
        }

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Judged:
        """Read what `to_dict` returned."""
        agreements = {name: _agreement(arm) for name, arm in row["agreement"].items()}
        gap = RecoveredGap(Interval.from_dict(row["gap"]), row["no_gap"])
        return cls(model=row["model"], accuracy=dict(row["accuracy"]), agreement=agreements, gap=gap)


def check_answers(pair: Pair) -> None:
    """Refuse problems without an answer that a judge could compare with.

    Raises:
        InputError: There is one.
    """
    if any(question.answer is None for question in pair.test):
        raise InputError(
            f"problems of {pair.name} have no single right answer that a judge could compare with: they are graded by "
            "rule alone; leave out --judge-url"
        )


def judge_pair(run: PairRun, judge: Judge, replies: Path | None = None, arms: Sequence[str] = JUDGED) -> Judged:
    """Have a judge grade the arms of a pair.

    Args:
        run: What the arms wrote.
        judge: Who grades.
        replies: File of its replies, so that nothing is asked twice.
        arms: Which to grade, of those that ran; base, thinking model and hybrid are among them.

    Raises:
        InputError: A question has no answer to compare with, or the judge cannot be reached or says nothing clear.
    """
    questions = run.pair.test
    check_answers(run.pair)
    problems = [question.problem for question in questions]
    check_problems(problems)
    by_judge: dict[str, list[bool | None]] = {}
    by_rule: dict[str, list[bool]] = {}
    for name in arms:
        if name in run.arms:
            texts = [record.text for record in run.arms[name].records[0]]
            by_judge[name], by_rule[name] = judge.grade(questions, texts, replies), list(run.arms[name].is_solved[0])
    if not any(_is_clear(grades) for grades in by_judge.values()):
        raise InputError(f"{judge.model} said neither yes nor no to any answer of {run.pair.name}; ask another model")
    right = {name: np.array([grade is True for grade in grades]) for name, grades in by_judge.items()}
    return Judged(
        model=judge.model,
        accuracy={name: float(grades.mean()) for name, grades in right.items()},
        agreement={name: agreement(by_rule[name], grades) for name, grades in by_judge.items() if _is_clear(grades)},
        gap=gap_recovered_over_groups(right[BASE], right[THINKING], right[HYBRID], problems),
    )


def _agreement(row: Mapping[str, Any]) -> Agreement:
    figures: dict[str, Any] = {name: np.nan if value is None else value for name, value in row.items()}
    return Agreement(**figures)


def _is_clear(grades: Sequence[bool | None]) -> bool:
    return any(grade is not None for grade in grades)
