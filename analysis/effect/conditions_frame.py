"""Tabulate the outcomes of a sweep over strengths: one row for each condition and counted behaviour."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from .outcome import Outcome


def conditions_frame(outcomes: Sequence[Outcome], unsteered: Outcome, behaviours: Sequence[str]) -> pd.DataFrame:
    """Tabulate rates, effects, damage and accuracy; `StrengthCurves.to_frame` describes the columns.

    Args:
        outcomes: One for each condition.
        unsteered: The outcome that effects are relative to.
        behaviours: The behaviours that are counted.

    Returns:
        One row for each condition and behaviour.
    """
    return pd.DataFrame([row for outcome in outcomes for row in _rows(outcome, unsteered, behaviours)])


def _rows(outcome: Outcome, unsteered: Outcome, behaviours: Sequence[str]) -> Iterator[dict[str, Any]]:
    condition, accuracy, unsure = outcome.condition, outcome.accuracy(), outcome.unsure()
    shared = {
        "kl_nats": outcome.damage.kl_nats,
        "perplexity": outcome.damage.perplexity,
        "n_neutral_tokens": outcome.damage.n_tokens,
        **(accuracy.columns("accuracy") if accuracy else {"accuracy": math.nan}),
        "unsure": math.nan if unsure is None else unsure,
        "answered_in_thoughts": float(np.mean(outcome.answered_in_thoughts)),
        "truncated": float(np.mean(outcome.is_truncated)),
        "share_steered": outcome.n_steered / outcome.n_run if outcome.n_run else 0.0,
        "n_problems": len(set(outcome.problems)),
    }
    for behaviour in behaviours:
        yield {
            "kind": condition.kind,
            "steered": condition.behaviour,
            "layer": condition.layer if condition.layer >= 0 else math.nan,
            "strength": condition.strength,
            "number": condition.number,
            "measured": behaviour,
            **outcome.rate(behaviour).columns("rate"),
            **outcome.effect(behaviour, unsteered).columns("effect"),
            **outcome.wrong_way(behaviour, unsteered).columns("wrong_way"),
            **shared,
        }
