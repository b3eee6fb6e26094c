"""Arms: what each is, and how it decodes. All answer the same problems with the same random numbers.

hybrid              base, steered where the models differ, towards the category that a probe on the base expects
probe-gated         the same where a probe on the base's activations opens: no thinking model runs
network-dosed       the hybrid, each dose set by a network on the base's own activation (`coefficient.py`)
oracle              at the hybrid's gate the thinking model's own token is taken: the ceiling. Greedily, and with a gate
                    wherever the models differ, that is the thinking model itself
forcing             the thinking model's token is taken where a sentence begins and they differ
bias                at the hybrid's gate one general vector that knows no category
random-vectors      at the hybrid's gate random directions of the same dose, several seeds
random-category     at the hybrid's gate the vector of any category
least-similar       at the hybrid's gate the vector least like the right one
random-positions    the hybrid's vectors at random tokens, as many as it steers
always-on           the hybrid's vectors at every token
shuffled-doses      the doses of the hybrid, or where they are all one of the network, in another order
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
from ._decode import Chooser, Dose, Plan
from .dose import (
    constant,
    per_category,
    scaled,
    shuffled,
)
from .gate import (
    always,
    boundary,
    gate_named,
    never,
    positions,
)
from .mechanism import Mechanism
from .parts import Parts

if TYPE_CHECKING:
    from .settings import HybridSettings

ARMS = {
    "base": "the base model, bare question",
    "base-step-by-step": "the base model, asked to think step by step",
    "thinking": "the thinking model",
    "hybrid": "base, steered where the models differ",
    "probe-gated": "base, steered where a probe on itself says so",
    "network-dosed": "the hybrid, each dose set by a network on the base's activation",
    "oracle": "base, the thinking model's token taken where they differ",
    "forcing": "base, the thinking model's first words of sentences",
    "bias": "one general vector where the models differ",
    "random-vectors": "random directions where the models differ",
    "random-category": "any category's vector where the models differ",
    "least-similar": "the vector least like the right one where the models differ",
    "random-positions": "the hybrid's vectors at random tokens, as many",
    "always-on": "the hybrid's vectors at every token",
    "shuffled-doses": "the doses of the hybrid, or of the network, in another order",
}
QUICK = ("base", "thinking", "hybrid", "probe-gated", "oracle", "forcing", "random-vectors", "random-positions")
CONTROLS = ("bias", "random-vectors", "random-category", "least-similar", "random-positions", "always-on")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What was chosen on validation problems."""

    layer: int
    dose: float  # in mean residual norms; of a network's doses, a multiple
    threshold: float  # of the probe gate
    category_doses: tuple[float, ...] = ()  # where each category has its own
    network_dose: float = 1.0  # multiple of the network's doses in the arm network-dosed


def plan_of(
    arm: str,
    parts: Parts,
    tuned: Tuned,
    settings: HybridSettings,
    *,
    seed: int = 0,
    rate: float = 0.0,
    doses: Sequence[float] = (),
) -> Plan:
    """How `arm` decodes.

    seed: of random vectors, categories and positions. rate: share of tokens that the hybrid steered. doses: all that it
    gave; to shuffle, those of the run that they are to come from. Raises InputError for an unknown arm.
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
    hybrid = Plan(gate=gate, mechanism=mechanism, chooser=choose, dose=_dose(parts, tuned, settings))
    match arm:
        case "probe-gated":
            return replace(hybrid, gate=parts.gate(tuned.layer, tuned.threshold))
        case "network-dosed":
            return replace(hybrid, dose=scaled(parts.networks[tuned.layer].dose, tuned.network_dose))
        case "bias":
            one = constant(float(np.mean(doses)) if len(doses) else tuned.dose)
            assert parts.bias is not None
            return Plan(gate=gate, mechanism=Mechanism.of(parts.bias, tuned.layer), dose=one)
        case "random-vectors":
            return replace(hybrid, mechanism=mechanism.random(seed))
        case "random-category":
            return replace(hybrid, chooser=any_category(len(parts.categories), seed))
        case "least-similar":
            return replace(hybrid, chooser=through(mechanism.least_similar(), choose))
        case "random-positions":
            return replace(hybrid, gate=positions(rate, seed))
        case "always-on":
            return replace(hybrid, gate=always)
        case "shuffled-doses":
            return replace(hybrid, dose=shuffled(doses, seed))
    return hybrid


def _dose(parts: Parts, tuned: Tuned, settings: HybridSettings) -> Dose:
    if settings.dose == "network":
        return scaled(parts.networks[tuned.layer].dose, tuned.dose)
    return per_category(tuned.category_doses) if tuned.category_doses else constant(tuned.dose)


def needs_thinking(arm: str) -> bool:
    """Whether the thinking model has to run."""
    return arm not in ("base", "base-step-by-step", "probe-gated", "random-positions", "always-on")


def any_category(n_categories: int, seed: int) -> Chooser:
    """Any category, for each token anew."""
    return lambda state: torch.from_numpy(_draws(state, seed, n_categories)).to(state.last_ids.device)


def through(table: Int[Tensor, " categories"], choose: Chooser) -> Chooser:
    """What a table makes of each category."""
    return lambda state: table.to(state.last_ids.device)[choose(state)]


def _draws(state: StepState, seed: int, n: int) -> np.ndarray:
    """A number below n for each row, the same whatever other rows there are."""
    return np.array([np.random.default_rng([seed, row, state.step]).integers(n) for row in state.rows.tolist()])
