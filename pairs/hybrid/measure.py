"""The figures of each arm: accuracy, gap recovered, and what was done to how many tokens. Each is computed once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Bool

from ...rundir import InputError, brief, content_digest, to_row
from ...stats import (
    Interval,
    RecoveredGap,
    accuracy_difference_over_groups,
    accuracy_over_groups,
    gap_recovered_over_groups,
    sign_flip_test_over_groups,
)
from .agreement import agreement_columns
from .arm import Role
from .arm_run import ArmRun, gated_share
from .arms import BASE, HYBRID, THINKING, arm_of
from .experiment import Experiment


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmResult:
    """One arm of one pair; intervals are 95%, over problems. Shares are of the tokens written."""

    arm: str
    role: Role
    n: int  # questions
    n_problems: int
    n_seeds: int  # runs that the figures are means of
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    gain: float  # accuracy above the base's, problems paired
    gain_low: float
    gain_high: float
    gap: float  # recovered, unclipped; NaN where there is none to recover
    gap_low: float
    gap_high: float
    no_gap: str  # why there is none
    behind: float  # accuracy of the hybrid above this arm's, problems paired
    behind_low: float
    behind_high: float
    p_value: float  # against the base, two-sided: sign-flip test over problems, of all seeds
    steered: float  # at which the gate was open
    effective: float  # at which it was open with a strength, or the thinking model's token was taken
    changed: float  # that are others than the base model's own
    n_steered: int  # tokens that were steered (`effective`), of all runs
    as_thinking: float  # share of these that are the thinking model's likeliest token; NaN where it did not read along
    as_thinking_low: float
    as_thinking_high: float
    as_base: float  # share of these that are the base's own likeliest token
    as_base_low: float
    as_base_high: float
    elsewhere_as_thinking: float  # the same shares of the tokens at which the gate stayed shut
    elsewhere_as_thinking_low: float
    elsewhere_as_thinking_high: float
    elsewhere_as_base: float
    elsewhere_as_base_low: float
    elsewhere_as_base_high: float
    truncated: float  # of the responses
    unsure: float  # of the responses: the grade cannot be told; accuracy + unsure, were all of them right
    answered_in_thoughts: float  # of the responses: in a box of thoughts that never ended, which is no answer
    tokens: float  # a response

    __repr__ = brief

    @property
    def accuracy_bounds(self) -> tuple[float, float]:
        """The accuracy if none, and if all, of the responses whose grade cannot be told were right."""
        return self.accuracy, self.accuracy + self.unsure

    def to_dict(self) -> dict[str, Any]:
        """Return the figures by name, with None for NaN, which JSON lacks."""
        return {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> ArmResult:
        """Read what `to_dict` returned."""
        figures: dict[str, Any] = {
            field.name: math.nan if row[field.name] is None else row[field.name] for field in fields(cls)
        }
        return cls(**figures)


# Of the log: every figure by its type, and None for NaN.
ROWS = "rows"  # digest of the rows that a figure is computed from
COLUMNS = {field.name: {"float": float | None, "int": int}.get(str(field.type), str) for field in fields(ArmResult)}


def measure_once(experiment: Experiment, runs: Mapping[str, ArmRun]) -> dict[str, ArmResult]:
    """Measure every arm of a pair.

    Args:
        experiment: Its directory keeps `measures.jsonl`, a row for each arm and what it wrote.
        runs: Arm -> what it wrote on the test problems.

    Returns:
        Arm -> its figures; of an arm with several seeds, over all of them.

    Raises:
        InputError: All test problems are one.
    """
    pair = experiment.pair
    problems = [question.problem for question in pair.test]
    log = experiment.directory.log(
        "measures.jsonl",
        about={"pair": pair.name, "problems": pair.digest},
        key=("arm", ROWS),
        columns=COLUMNS | {ROWS: str},
    )
    compared = [to_row(runs[name])["is_solved"] for name in (BASE, THINKING, HYBRID)]
    results = {}
    for name, run in runs.items():
        key = (name, content_digest([to_row(run), compared]))  # other rows have other figures
        if key not in log:
            log.add([measure_arm(run, runs, problems).to_dict() | {ROWS: key[1]}])
        results[name] = ArmResult.from_dict(log[key])
    return results


def measure_arm(run: ArmRun, runs: Mapping[str, ArmRun], problems: Sequence[str]) -> ArmResult:
    """Measure an arm that ran once or several times on the same questions as base, thinking model and hybrid.

    Args:
        run: Of the arm.
        runs: Of all arms; the base, the thinking model and the hybrid are among them.
        problems: Of each question; the questions of one are resampled together.

    Returns:
        Its figures, means over its runs. `p_value` is that of a sign-flip test over problems: were the arm no better
        or worse than the base, the difference of each problem, summed over its questions and averaged over the runs,
        could as well have had the other sign. It counts all signs where it can (with one question a problem and one
        run it is McNemar's exact test) and draws 10,000 elsewhere.

    Raises:
        InputError: All problems are one.
    """
    check_problems(problems)
    solved = _solved(run)  # (n_seeds, n_questions)
    base, thinking, hybrid = (_solved(runs[name]) for name in (BASE, THINKING, HYBRID))
    share = solved.mean(axis=0)  # of the runs that solved a question
    accuracy = accuracy_over_groups(share, problems)
    gain = accuracy_difference_over_groups(share, base[0].astype(float), problems)
    gap = gap_recovered_over_groups(base[0].astype(float), thinking[0].astype(float), share, problems)
    if run.name in (BASE, THINKING) and not gap.no_gap:  # by definition
        share_by_definition = float(run.name == THINKING)
        gap = RecoveredGap(Interval(share_by_definition, share_by_definition, share_by_definition, gap.share.n))
    behind = accuracy_difference_over_groups(hybrid.mean(axis=0), share, problems)
    records = [record for of_seed in run.records for record in of_seed]
    n_tokens = max(sum(record.n_tokens for record in records), 1)
    n_steered = sum(record.n_effective for record in records)
    return ArmResult(
        arm=run.name,
        role=arm_of(run.name).role,
        n=solved.shape[1],
        n_problems=len(set(problems)),
        n_seeds=len(solved),
        **accuracy.columns("accuracy"),
        **gain.columns("gain"),
        **gap.share.columns("gap"),
        no_gap=gap.no_gap,
        **behind.columns("behind"),
        p_value=sign_flip_test_over_groups(share, base.mean(axis=0), problems).p,
        steered=gated_share(records),
        effective=n_steered / n_tokens,
        changed=sum(record.n_changed for record in records) / n_tokens,
        n_steered=n_steered,
        **agreement_columns(run.records, problems),
        truncated=float(np.mean([record.is_truncated for record in records])),
        unsure=float(np.mean([grade is None for of_seed in run.is_solved for grade in of_seed])),
        answered_in_thoughts=float(np.mean(run.answered_in_thoughts)),
        tokens=n_tokens / max(len(records), 1),
    )


def check_problems(problems: Sequence[str]) -> None:
    """Refuse fewer than two problems, which have no interval.

    Raises:
        InputError: There are fewer.
    """
    n = len(set(problems))
    if n < 2:
        raise InputError(f"an interval needs at least two problems, and there {'is 1' if n == 1 else 'is none'}")


def _solved(run: ArmRun) -> Bool[np.ndarray, "n_seeds n_questions"]:
    return np.array([[grade is True for grade in of_seed] for of_seed in run.is_solved], dtype=bool)
