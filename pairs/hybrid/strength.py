"""How strongly a gated token is steered, in units of the mean residual norm at the layer.

constant        one strength for all
per_behaviour   one for each behaviour
scaled          a multiple of another rule
shuffled        the strengths of another run in another order: a control that keeps how strong steering is, not when
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
from ...models.device_copies import DeviceCopies, uploaded
from ...rundir import InputError
from ._decode import StrengthRule

STREAM = (2,)  # of the order of a row's strengths; tokens are drawn from that without a key


def constant(strength: float) -> StrengthRule:
    """Steer every token with the same strength.

    Raises:
        InputError: The strength is not finite.
    """
    copies = DeviceCopies(_checked([strength]))
    return lambda state, behaviour: copies.on(behaviour.device).expand(len(behaviour))


def per_behaviour(strengths: Sequence[float]) -> StrengthRule:
    """Steer towards behaviour b with `strengths[b]`.

    Args:
        strengths: One for each behaviour of the mechanism, in its order.

    Raises:
        InputError: A strength is not finite; as the rule is used, a behaviour has none.
    """
    n, copies = len(strengths), DeviceCopies(torch.cat([_checked(strengths), torch.tensor([torch.nan])]))

    def rule(state: StepState, behaviour: Int[Tensor, " rows"]) -> Float[Tensor, " rows"]:
        if not behaviour.is_cuda and len(behaviour) and int(behaviour.max()) >= n:
            raise InputError(f"behaviour {int(behaviour.max())} has no strength: there are {n}, one a behaviour")
        return copies.on(behaviour.device)[behaviour.clamp(max=n)]

    return rule


def scaled(rule: StrengthRule, factor: float) -> StrengthRule:
    """Multiply the strengths of a rule.

    Raises:
        InputError: The factor is not finite.
    """
    _checked([factor])
    return lambda state, behaviour: factor * rule(state, behaviour)


def shuffled(strengths: Sequence[float], seed: int) -> StrengthRule:
    """Give every response an order of its own of these strengths: the same in any batch.

    Args:
        strengths: Those of the run that this is the control of (`steered_strengths`).
        seed: Of the orders.

    Raises:
        InputError: There are none.
    """
    if not len(strengths):
        raise InputError("there are no strengths to shuffle: the other run steered no token")
    pool = np.asarray(strengths, dtype=np.float32)
    orders: dict[int, np.ndarray] = {}

    def rule(state: StepState, behaviour: Int[Tensor, " rows"]) -> Float[Tensor, " rows"]:
        row_strengths = []
        for row in state.row_numbers:
            if row not in orders:
                own = np.random.SeedSequence([seed, row], spawn_key=STREAM)
                orders[row] = np.random.default_rng(own).permutation(len(pool))
            row_strengths.append(pool[orders[row][state.step % len(pool)]])
        return uploaded(torch.tensor(np.array(row_strengths)), behaviour.device)

    return rule


def _checked(strengths: Sequence[float]) -> Float[Tensor, " n"]:
    for strength in strengths:
        if not math.isfinite(strength):
            raise InputError(f"a strength is a number, 1 being the mean residual norm, and {strength} is none")
    return torch.tensor(strengths, dtype=torch.float32)
