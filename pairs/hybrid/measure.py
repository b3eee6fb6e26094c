"""The figures of one arm: accuracy, gap recovered, and what was done to how many tokens."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool

from ...rundir import InputError
from ...stats import (
    Interval,
    RecoveredGap,
    accuracy_difference_over_groups,
    accuracy_over_groups,
    gap_recovered_over_groups,
    mcnemar_over_questions,
)
from .record import RowRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmResult:
    """One arm of one pair; intervals are 95%, over problems. Shares are of the tokens written."""

    arm: str
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
    p_mcnemar: float  # against the base; with several seeds, of the first
    steered: float  # at which the gate was open
    effective: float  # at which it was open with a strength, or the thinking model's token was taken
    changed: float  # that are others than the base model's own
    truncated: float  # of the responses
    tokens: float  # a response

    def to_json(self) -> dict[str, Any]:
        """With None for what is not known."""
        return {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in asdict(self).items()
        }


def measure_arm(
    arm: str,
    base: Bool[np.ndarray, " problems"],
    thinking: Bool[np.ndarray, " problems"],
    solved: Bool[np.ndarray, "seeds problems"],
    records: Sequence[Sequence[RowRecord]],
    problems: Sequence[str] | None = None,
) -> ArmResult:
    """The figures of an arm that ran once or several times on the same questions as base and thinking model.

    problems: of each question, resampled together; None: each is one of its own. Raises InputError for one problem.
    """
    check_problems(range(solved.shape[1]) if problems is None else problems)
    mean = solved.mean(axis=0)  # of a question, over seeds
    right = accuracy_over_groups(mean, problems)
    gain = accuracy_difference_over_groups(mean, base.astype(float), problems)
    gap = gap_recovered_over_groups(base.astype(float), thinking.astype(float), mean, problems)
    if arm in ("base", "thinking") and not gap.no_gap:  # by definition
        whole = float(arm == "thinking")
        gap = RecoveredGap(Interval(whole, whole, whole, gap.share.n))
    rows = [record for run in records for record in run]
    n_tokens = max(sum(record.n_tokens for record in rows), 1)
    acted = sum(
        is_gated and (strength != 0 or behaviour < 0)
        for record in rows
        for strength, is_gated, behaviour in zip(record.strength, record.gated, record.behaviour, strict=True)
    )
    return ArmResult(
        arm=arm,
        n=solved.shape[1],
        n_problems=solved.shape[1] if problems is None else len(set(problems)),
        n_seeds=len(solved),
        **right.columns("accuracy"),
        **gain.columns("gain"),
        **gap.share.columns("gap"),
        no_gap=gap.no_gap,
        p_mcnemar=mcnemar_over_questions(solved[0].astype(bool), base.astype(bool)).p,
        steered=sum(record.n_gated for record in rows) / n_tokens,
        effective=acted / n_tokens,
        changed=sum(record.n_changed for record in rows) / n_tokens,
        truncated=float(np.mean([record.is_truncated for record in rows])),
        tokens=n_tokens / max(len(rows), 1),
    )


def check_problems(problems: Iterable[Hashable]) -> None:
    """Raises InputError for fewer than two problems, which have no interval."""
    n = len(set(problems))
    if n < 2:
        raise InputError(f"an interval needs at least two problems, and there {'is 1' if n == 1 else 'is none'}")
