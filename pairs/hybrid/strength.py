"""Strengths: how strongly a gated token is steered. A strength of 1 is the mean residual norm at the layer.

constant        one for all
per_behaviour    one for each behaviour
scaled          a multiple of another
shuffled        those of another run, in another order: a control that keeps how strong steering is and loses when
(`coefficient.py` holds the network that sets the strength by the base model's own activation.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...generation import StepState
from ...rundir import InputError
from ._decode import StrengthRule
from .record import RowRecord


def constant(strength: float) -> StrengthRule:
    """The same for every token. Raises InputError for a strength that is no number."""
    (one,) = _numbers([strength])
    return lambda state, behaviour: one.to(behaviour.device).expand(len(behaviour))


def per_behaviour(strengths: Sequence[float]) -> StrengthRule:
    """`strengths[c]` for behaviour c of the mechanism.

    Raises InputError for a strength that is no number and, as it is used, for a behaviour that has none.
    """
    table = _numbers(strengths)

    def found(state: StepState, behaviour: Int[Tensor, " rows"]) -> Float[Tensor, " rows"]:
        if len(behaviour) and int(behaviour.max()) >= len(table):
            raise InputError(
                f"behaviour {int(behaviour.max())} has no strength: there are {len(table)}, one a behaviour"
            )
        return table.to(behaviour.device)[behaviour]

    return found


def scaled(strength: StrengthRule, factor: float) -> StrengthRule:
    """`factor` times what `strength` says. Raises InputError for a factor that is no number."""
    _numbers([factor])
    return lambda state, behaviour: factor * strength(state, behaviour)


def _numbers(strengths: Sequence[float]) -> Float[Tensor, " n"]:
    for strength in strengths:
        if not math.isfinite(strength):
            raise InputError(f"a strength is a number, 1 being the mean residual norm, and {strength} is none")
    return torch.tensor(strengths, dtype=torch.float32)


def recorded(records: Sequence[RowRecord]) -> list[float]:
    """The strengths of all tokens that a run steered, in order."""
    return [
        strength
        for record in records
        for strength, behaviour in zip(record.strength, record.behaviour, strict=True)
        if behaviour >= 0 and strength != 0
    ]


def shuffled(strengths: Sequence[float], seed: int) -> StrengthRule:
    """Every response walks through an order of its own of these strengths: the same in any batch.

    strengths: of the run that this is the control of (`recorded`). Raises InputError where there are none.
    """
    if not len(strengths):
        raise InputError("there are no strengths to shuffle: the other run steered no token")
    pool = np.asarray(strengths, dtype=np.float32)
    orders: dict[int, np.ndarray] = {}

    def found(state: StepState, behaviour: Int[Tensor, " rows"]) -> Float[Tensor, " rows"]:
        drawn = []
        for row in state.rows.tolist():
            if row not in orders:
                orders[row] = np.random.default_rng([seed, row]).permutation(len(pool))
            drawn.append(pool[orders[row][state.step % len(pool)]])
        return torch.tensor(np.array(drawn), device=behaviour.device)

    return found
