"""Arms: what each is, and how it decodes. All answer the same problems with the same random numbers.

hybrid              base, steered where the models differ, towards the behaviour that a probe on the base expects
probe-gated         the same where a probe on the base's activations opens: no thinking model runs
network-strength       the hybrid, each strength set by a network on the base's own activation (`coefficient.py`)
oracle              at the hybrid's gate the thinking model's own token is taken: the ceiling. Greedily, and with a gate
                    wherever the models differ, that is the thinking model itself
forcing             the thinking model's token is taken where a sentence begins and they differ
bias                at the hybrid's gate one general vector that knows no behaviour
random-vectors      at the hybrid's gate random directions of the same strength, several seeds
random-behaviour     at the hybrid's gate the vector of any behaviour
least-similar       at the hybrid's gate the vector least like the right one
random-positions    the hybrid's vectors at random tokens, as many as it steers
always-on           the hybrid's vectors at every token
shuffled-strengths      the strengths of the hybrid, or where they are all one of the network, in another order
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from ...generation import StepState
from ...rundir import InputError
from ._decode import Chooser, Plan, StrengthRule
from .gate import (
    always,
    boundary,
    gate_named,
    never,
    positions,
)
from .mechanism import Mechanism
from .parts import Parts
from .strength import (
    constant,
    per_behaviour,
    scaled,
    shuffled,
)

if TYPE_CHECKING:
    from .settings import HybridSettings

ARMS = {
    "base": "the base model, bare question",
    "base-step-by-step": "the base model, asked to think step by step",
    "thinking": "the thinking model",
    "hybrid": "base, steered where the models differ",
    "probe-gated": "base, steered where a probe on itself says so",
    "network-strength": "the hybrid, each strength set by a network on the base's activation",
    "oracle": "base, the thinking model's token taken where they differ",
    "forcing": "base, the thinking model's first words of sentences",
    "bias": "one general vector where the models differ",
    "random-vectors": "random directions where the models differ",
    "random-behaviour": "any behaviour's vector where the models differ",
    "least-similar": "the vector least like the right one where the models differ",
    "random-positions": "the hybrid's vectors at random tokens, as many",
    "always-on": "the hybrid's vectors at every token",
    "shuffled-strengths": "the strengths of the hybrid, or of the network, in another order",
}
QUICK = ("base", "thinking", "hybrid", "probe-gated", "oracle", "forcing", "random-vectors", "random-positions")
CONTROLS = ("bias", "random-vectors", "random-behaviour", "least-similar", "random-positions", "always-on")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What was chosen on validation problems."""

    layer: int
    strength: float  # in mean residual norms; of a network's strengths, a multiple
    threshold: float  # of the probe gate
    behaviour_strengths: tuple[float, ...] = ()  # where each behaviour has its own
    network_strength: float = 1.0  # multiple of the network's strengths in the arm network-strength


def plan_of(
    arm: str,
    parts: Parts,
    tuned: Tuned,
    settings: HybridSettings,
    *,
    seed: int = 0,
    rate: float = 0.0,
    strengths: Sequence[float] = (),
) -> Plan:
    """How `arm` decodes.

    seed: of random vectors, behaviours and positions. rate: share of tokens that the hybrid steered. strengths: all
    that it gave; to shuffle, those of the run that they are to come from. Raises InputError for an unknown arm.
    """
    gate = gate_named(settings.gate, parts.ends)
    if arm in ("base", "base-step-by-step"):
        return Plan(gate=never, act="takeover")
    if arm == "thinking":
        return Plan(gate=always, act="takeover")
    if arm == "oracle":
        return Plan(gate=gate, act="takeover")
    if arm == "forcing":
        return Plan(gate=boundary(parts.ends), act="takeover")
    if arm not in ARMS:
        raise InputError(f"there is no arm {arm!r}; there are {', '.join(ARMS)}")
    mechanism, choose = parts.mechanism(tuned.layer), parts.chooser(tuned.layer)
    hybrid = Plan(gate=gate, mechanism=mechanism, chooser=choose, strength=_strength(parts, tuned, settings))
    match arm:
        case "probe-gated":
            return replace(hybrid, gate=parts.gate(tuned.layer, tuned.threshold))
        case "network-strength":
            return replace(hybrid, strength=scaled(parts.networks[tuned.layer].strength, tuned.network_strength))
        case "bias":
            one = constant(float(np.mean(strengths)) if len(strengths) else tuned.strength)
            assert parts.bias is not None
            return Plan(gate=gate, mechanism=Mechanism.of(parts.bias, tuned.layer), strength=one)
        case "random-vectors":
            return replace(hybrid, mechanism=mechanism.random(seed))
        case "random-behaviour":
            return replace(hybrid, chooser=any_behaviour(len(parts.behaviours), seed))
        case "least-similar":
            return replace(hybrid, chooser=through(mechanism.least_similar(), choose))
        case "random-positions":
            return replace(hybrid, gate=positions(rate, seed))
        case "always-on":
            return replace(hybrid, gate=always)
        case "shuffled-strengths":
            return replace(hybrid, strength=shuffled(strengths, seed))
    return hybrid


def _strength(parts: Parts, tuned: Tuned, settings: HybridSettings) -> StrengthRule:
    if settings.strength == "network":
        return scaled(parts.networks[tuned.layer].strength, tuned.strength)
    return per_behaviour(tuned.behaviour_strengths) if tuned.behaviour_strengths else constant(tuned.strength)


def needs_thinking(arm: str) -> bool:
    """Whether the thinking model has to run."""
    return arm not in ("base", "base-step-by-step", "probe-gated", "random-positions", "always-on")


def any_behaviour(n_behaviours: int, seed: int) -> Chooser:
    """Any behaviour, for each token anew."""
    return lambda state: torch.from_numpy(_draws(state, seed, n_behaviours)).to(state.last_ids.device)


def through(table: Int[Tensor, " behaviours"], choose: Chooser) -> Chooser:
    """What a table makes of each behaviour."""
    return lambda state: table.to(state.last_ids.device)[choose(state)]


def _draws(state: StepState, seed: int, n: int) -> np.ndarray:
    """A number below n for each row, the same whatever other rows there are."""
    return np.array([np.random.default_rng([seed, row, state.step]).integers(n) for row in state.rows.tolist()])
