"""A judge for what the rule cannot tell: a language model grades the responses that are unsure, and no others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...rundir import InputError, brief
from ...stats import Interval, RecoveredGap, gap_recovered_over_groups
from ...traces.judge import Judge
from ..pair import Pair
from .arms import BASE, HYBRID, THINKING
from .measure import check_problems
from .pair_run import PairRun

JUDGED = (BASE, THINKING, HYBRID, "probe-gated")


@dataclass(frozen=True, eq=False, kw_only=True)
class Judged:
    """The figures of a pair's arms where a judge grades what the rule is unsure of.

    A response that the judge would not grade either counts as not right.
    """

    model: str
    accuracy: dict[str, float]  # arm -> share right, by the rule or, where that is unsure, by the judge
    n_asked: dict[str, int]  # arm -> responses that the rule was unsure of
    n_ungraded: dict[str, int]  # arm -> of these, that the judge said neither yes nor no to
    gap: RecoveredGap  # that the hybrid recovers

    __repr__ = brief

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, with None for what is not known."""
        return {
            "model": self.model,
            "accuracy": self.accuracy,
            "n_asked": self.n_asked,
            "n_ungraded": self.n_ungraded,
            "gap": self.gap.share.to_dict(),
            "no_gap": self.gap.no_gap,
        }

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Judged:
        """Read what `to_dict` returned."""
        return cls(
            model=row["model"],
            accuracy=dict(row["accuracy"]),
            n_asked=dict(row["n_asked"]),
            n_ungraded=dict(row["n_ungraded"]),
            gap=RecoveredGap(Interval.from_dict(row["gap"]), row["no_gap"]),
        )


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
    """Have a judge grade what the rule is unsure of in the arms of a pair.

    Args:
        run: What the arms wrote.
        judge: Who grades.
        replies: File of its replies, so that nothing is asked twice.
        arms: Which to grade, of those that ran; base, thinking model and hybrid are among them.

    Returns:
        The figures with the judge's grades in the place of the rule's doubts.

    Raises:
        InputError: A question has no answer to compare with, or the judge cannot be reached or says nothing clear.
    """
    questions = run.pair.test
    check_answers(run.pair)
    problems = [question.problem for question in questions]
    check_problems(problems)
    grades: dict[str, list[bool | None]] = {}
    n_asked: dict[str, int] = {}
    for name in arms:
        if name not in run.arms:
            continue
        records, by_rule = run.arms[name].records[0], list(run.arms[name].is_solved[0])
        unsure = [number for number, grade in enumerate(by_rule) if grade is None]
        by_judge = judge.grade([questions[n] for n in unsure], [records[n].text for n in unsure], replies)
        for number, grade in zip(unsure, by_judge, strict=True):
            by_rule[number] = grade
        grades[name], n_asked[name] = by_rule, len(unsure)
    n_ungraded = {name: of_arm.count(None) for name, of_arm in grades.items()}
    if any(n_asked.values()) and n_ungraded == n_asked:
        raise InputError(f"{judge.model} said neither yes nor no to any answer of {run.pair.name}; ask another model")
    right = {name: np.array([grade is True for grade in of_arm]) for name, of_arm in grades.items()}
    return Judged(
        model=judge.model,
        accuracy={name: float(of_arm.mean()) for name, of_arm in right.items()},
        n_asked=n_asked,
        n_ungraded=n_ungraded,
        gap=gap_recovered_over_groups(right[BASE], right[THINKING], right[HYBRID], problems),
    )
