"""Doses: how strongly a gated token is steered. A dose of 1 is the mean residual norm at the layer.

constant        one for all
per_category    one for each category
scaled          a multiple of another
shuffled        those of another run, in another order: a control that keeps how strong steering is and loses when
(`coefficient.py` holds the network that sets the dose by the base model's own activation.)
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
from ._decode import Dose
from .record import RowRecord


def constant(dose: float) -> Dose:
    """The same for every token. Raises InputError for a dose that is no number."""
    (one,) = _numbers([dose])
    return lambda state, category: one.to(category.device).expand(len(category))


def per_category(doses: Sequence[float]) -> Dose:
    """`doses[c]` for category c of the mechanism.

    Raises InputError for a dose that is no number and, as it is used, for a category that has none.
    """
    table = _numbers(doses)

    def found(state: StepState, category: Int[Tensor, " rows"]) -> Float[Tensor, " rows"]:
        if len(category) and int(category.max()) >= len(table):
            raise InputError(f"category {int(category.max())} has no dose: there are {len(table)}, one a category")
        return table.to(category.device)[category]

    return found


def scaled(dose: Dose, factor: float) -> Dose:
    """`factor` times what `dose` says. Raises InputError for a factor that is no number."""
    _numbers([factor])
    return lambda state, category: factor * dose(state, category)


def _numbers(doses: Sequence[float]) -> Float[Tensor, " n"]:
    for dose in doses:
        if not math.isfinite(dose):
            raise InputError(f"a dose is a number, 1 being the mean residual norm, and {dose} is none")
    return torch.tensor(doses, dtype=torch.float32)


def recorded(records: Sequence[RowRecord]) -> list[float]:
    """The doses of all tokens that a run steered, in order."""
    return [
        dose
        for record in records
        for dose, category in zip(record.dose, record.category, strict=True)
        if category >= 0 and dose != 0
    ]


def shuffled(doses: Sequence[float], seed: int) -> Dose:
    """Every response walks through an order of its own of these doses: the same in any batch.

    doses: of the run that this is the control of (`recorded`). Raises InputError where there are none.
    """
    if not len(doses):
        raise InputError("there are no doses to shuffle: the other run steered no token")
    pool = np.asarray(doses, dtype=np.float32)
    orders: dict[int, np.ndarray] = {}

    def found(state: StepState, category: Int[Tensor, " rows"]) -> Float[Tensor, " rows"]:
        drawn = []
        for row in state.rows.tolist():
            if row not in orders:
                orders[row] = np.random.default_rng([seed, row]).permutation(len(pool))
            drawn.append(pool[orders[row][state.step % len(pool)]])
        return torch.tensor(np.array(drawn), device=category.device)

    return found
