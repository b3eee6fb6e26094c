"""Gates: at which tokens the base model is steered. A new one is one function of type `Gate`.

disagreement    the likeliest tokens of base and thinking model differ
divergence      KL(thinking || base) exceeds a threshold
sentence start  a sentence has just ended, or none has begun: no thinking model is needed
boundary        a sentence starts, and they differ
probe           a linear probe on the base model's own activations says so: no thinking model is needed
positions       at random, at a given rate: a control
both, unless    another gate, where a second one opens too, or where a chooser does not say one behaviour
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ...generation import Gate, StepState
from ...models.device_copies import DeviceCopies, uploaded
from ...rundir import InputError
from ._decode import Chooser

STREAM = (1,)  # of the positions of a row; tokens are drawn from that without a key


def disagreement(state: StepState) -> Bool[Tensor, " rows"]:
    """Where the two models would say different tokens."""
    return state.likeliest() != state.follower_likeliest()


def never(state: StepState) -> Bool[Tensor, " rows"]:
    """Nowhere: the base model alone."""
    return torch.zeros_like(state.last_ids, dtype=torch.bool)


def always(state: StepState) -> Bool[Tensor, " rows"]:
    """Everywhere."""
    return torch.ones_like(state.last_ids, dtype=torch.bool)


def divergence_over(threshold_nats: float) -> Gate:
    """Where KL(thinking || base) exceeds a threshold."""
    if not threshold_nats >= 0:
        raise InputError(f"a divergence is 0 nats or more, and the threshold {threshold_nats} is not")
    return lambda state: state.divergence() > threshold_nats


def sentence_start(ends_sentence: Bool[Tensor, " vocabulary"]) -> Gate:
    """Where a sentence has just ended, by its last token, or none has begun."""

    copies = DeviceCopies(ends_sentence)

    def gate(state: StepState) -> Bool[Tensor, " rows"]:
        ended = copies.on(state.last_ids.device)[state.last_ids]
        return ended if state.step else torch.ones_like(ended)

    return gate


def boundary(ends_sentence: Bool[Tensor, " vocabulary"]) -> Gate:
    """Where a sentence starts, and the models differ."""
    return both(disagreement, sentence_start(ends_sentence))


def both(one: Gate, other: Gate) -> Gate:
    """Where two gates open."""
    return lambda state: one(state) & other(state)


def unless(gate: Gate, chooser: Chooser, behaviour: int) -> Gate:
    """Where a gate opens, and the chooser does not say this behaviour."""
    return lambda state: gate(state) & (chooser(state) != behaviour)


def gate_named(name: str, ends_sentence: Bool[Tensor, " vocabulary"] | None) -> Gate:
    """`disagreement`, `boundary`, or `divergence:NATS`.

    ends_sentence: tokens of the base that end one; None where the gate is only to be checked. Raises InputError for
    any other name.
    """
    kind, _, number = name.partition(":")
    if kind == "divergence":
        try:
            threshold = float(number)
        except ValueError as error:
            raise InputError(f"a divergence gate is divergence:NATS, as divergence:0.5, not {name!r}") from error
        return divergence_over(threshold)
    if name == "boundary":
        return boundary(torch.zeros(0, dtype=torch.bool) if ends_sentence is None else ends_sentence)
    if name == "disagreement":
        return disagreement
    raise InputError(f"there is no gate {name!r}; there are disagreement, boundary and divergence:NATS")


def probe_over(weight: Float[Tensor, " d_model"], bias: float, threshold: float = 0.0) -> Gate:
    """Where the score of a probe on the base model's activation at the steered layer exceeds a threshold."""
    copies = DeviceCopies(weight)
    return lambda state: state.activations.float() @ copies.on(state.activations.device) + bias > threshold


def positions(rate: float, seed: int) -> Gate:
    """Each token with probability `rate`: the same draws for a row whatever other rows there are."""
    if not 0 <= rate <= 1:
        raise InputError(f"a rate lies between 0 and 1, and {rate} does not")
    uniforms: dict[int, np.ndarray] = {}

    def gate(state: StepState) -> Bool[Tensor, " rows"]:
        chosen = []
        for row in state.row_numbers:
            if row not in uniforms or len(uniforms[row]) <= state.step:
                size = 2 * max(state.step + 1, 256)
                # A stream of its own: tokens are drawn by that of seed and row, and must not tell where is steered.
                own = np.random.SeedSequence([seed, row], spawn_key=STREAM)
                uniforms[row] = np.random.default_rng(own).random(size)
            chosen.append(uniforms[row][state.step] < rate)
        return uploaded(chosen, state.last_ids.device)

    return gate
