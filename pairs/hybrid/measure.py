"""The figures of one arm: accuracy, gap recovered, and what was done to how many tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool

from .gap import (
    Gap,
    accuracy,
    difference,
    gap_recovered,
    mcnemar,
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
    effective: float  # at which it was open with a dose, or the thinking model's token was taken
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

    problems: of each question, resampled together; None: each is one of its own.
    """
    mean = solved.mean(axis=0)  # of a question, over seeds
    right, gain = accuracy(mean, problems), difference(mean, base.astype(float), problems)
    gap = gap_recovered(base.astype(float), thinking.astype(float), mean, problems)
    if arm in ("base", "thinking") and not gap.no_gap:  # by definition
        whole = float(arm == "thinking")
        gap = Gap(whole, whole, whole)
    rows = [record for run in records for record in run]
    n_tokens = max(sum(record.n_tokens for record in rows), 1)
    acted = sum(
        is_gated and (dose != 0 or category < 0)
        for record in rows
        for dose, is_gated, category in zip(record.dose, record.gated, record.category, strict=True)
    )
    return ArmResult(
        arm=arm,
        n=solved.shape[1],
        n_problems=solved.shape[1] if problems is None else len(set(problems)),
        n_seeds=len(solved),
        accuracy=right.value,
        accuracy_low=right.low,
        accuracy_high=right.high,
        gain=gain.value,
        gain_low=gain.low,
        gain_high=gain.high,
        gap=gap.value,
        gap_low=gap.low,
        gap_high=gap.high,
        no_gap=gap.no_gap,
        p_mcnemar=mcnemar(solved[0].astype(bool), base.astype(bool)).p,
        steered=sum(record.n_gated for record in rows) / n_tokens,
        effective=acted / n_tokens,
        changed=sum(record.n_changed for record in rows) / n_tokens,
        truncated=float(np.mean([record.is_truncated for record in rows])),
        tokens=n_tokens / max(len(rows), 1),
    )
