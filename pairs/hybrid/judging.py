"""A second opinion: a language model grades what the rule has graded, asked about final answers only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...rundir import InputError
from ...stats import RecoveredGap, gap_recovered_over_groups
from ...traces.agreement import Agreement, agreement
from ...traces.judge import Judge
from .measure import check_problems
from .pair import Pair
from .run import PairRun

JUDGED = ("base", "thinking", "hybrid", "probe-gated")


@dataclass(frozen=True, eq=False, kw_only=True)
class Judged:
    """What a judge says of a pair's arms, beside the rule. A response that it would not grade counts as wrong."""

    model: str
    accuracy: dict[str, float]  # arm -> share that the judge calls right
    agreement: dict[str, Agreement]  # arm -> of judge and rule
    gap: RecoveredGap  # that the hybrid recovers, by the judge

    def to_json(self) -> dict[str, Any]:
        """With None for what is not known."""
        figures = {name: getattr(self.gap.share, name) for name in ("value", "low", "high")}
        return {
            "model": self.model,
            "accuracy": self.accuracy,
            "agreement": {name: each.to_json() for name, each in self.agreement.items()},
            "gap": {name: None if np.isnan(value) else value for name, value in figures.items()},
            "no_gap": self.gap.no_gap,
        }


def check_answers(pair: Pair) -> None:
    """Raises InputError for problems without an answer that a judge could compare with."""
    if any(question.answer is None for question in pair.test):
        raise InputError(
            f"problems of {pair.name} have no single right answer that a judge could compare with: they are graded by "
            "rule alone; leave out --judge-url"
        )


def judge_pair(run: PairRun, judge: Judge, kept: Path | None = None, arms: Sequence[str] = JUDGED) -> Judged:
    """Have a judge grade the arms of a pair.

    kept: file of its replies, so that nothing is asked twice. Raises InputError for questions without an answer to
    compare with, and where the judge cannot be reached.
    """
    questions = run.pair.test
    check_answers(run.pair)
    check_problems(question.problem for question in questions)
    said: dict[str, list[bool | None]] = {}
    rule: dict[str, list[bool]] = {}
    for name in arms:
        if name in run.arms:
            texts = [record.text for record in run.arms[name].records[0]]
            said[name], rule[name] = judge.grade(questions, texts, kept), list(run.arms[name].is_solved[0])
    if not any(_any(graded) for graded in said.values()):
        raise InputError(f"{judge.model} said neither yes nor no to any answer of {run.pair.name}; ask another model")
    right = {name: np.array([each is True for each in graded]) for name, graded in said.items()}
    return Judged(
        model=judge.model,
        accuracy={name: float(graded.mean()) for name, graded in right.items()},
        agreement={name: agreement(rule[name], graded) for name, graded in said.items() if _any(graded)},
        gap=gap_recovered_over_groups(
            right["base"], right["thinking"], right["hybrid"], [question.problem for question in questions]
        ),
    )


def _any(graded: Sequence[bool | None]) -> bool:
    return any(each is not None for each in graded)
