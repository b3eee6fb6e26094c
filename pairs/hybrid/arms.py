"""The table of arms: what each is, what it needs, and how it decodes. A new arm is one entry.

An arm may look at the runs of those above it: controls are matched to how often and how strongly the hybrid steered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from ...generation import StepState
from ...models.device_copies import DeviceCopies, uploaded
from ._decode import Chooser, Plan
from .arm import Arm, ArmContext, Role, hybrid_plan
from .arm_run import ArmRun, gated_share, steered_strengths
from .behaviour_arms import BEHAVIOUR_ARMS
from .boundary_arms import BOUNDARY_ARMS
from .gate import always, boundary, never, positions
from .mechanism import Mechanism
from .phrase_arms import PHRASE_ARMS
from .strength import constant, scaled, shuffled
from .through import Through

BASE, THINKING, HYBRID, NETWORK, WORDS = "base", "thinking", "hybrid", "network-strength", "word-boost"
PROBE_GATED = "probe-gated"
ALL = "all"  # names every arm
REQUIRED = (BASE, THINKING, HYBRID)  # without which no gap can be measured
STREAM = (3,)  # of the behaviours drawn for a row; tokens are drawn from that without a key


def _base_alone(context: ArmContext) -> Plan:
    return Plan(gate=never, act="takeover")


def _thinking_alone(context: ArmContext) -> Plan:
    return Plan(gate=always, act="takeover")


def _probe_gated(context: ArmContext) -> Plan:
    return replace(hybrid_plan(context), gate=context.components.gate(context.tuned.layer, context.tuned.threshold))


def _network_strength(context: ArmContext) -> Plan:
    network = context.components.networks[context.tuned.layer]
    return replace(hybrid_plan(context), strength=scaled(network.strength, context.tuned.network_strength))


def _oracle(context: ArmContext) -> Plan:
    return Plan(gate=context.gate, act="takeover", through=context.through)


def _forcing(context: ArmContext) -> Plan:
    return Plan(gate=boundary(context.components.sentence_ends), act="takeover")


def _bias(context: ArmContext) -> Plan:
    strengths = steered_strengths(context.hybrid_records, context.through)
    strength = float(np.mean(strengths)) if strengths else context.tuned.strength
    assert context.components.bias is not None
    mechanism = Mechanism.of(context.components.bias, context.tuned.layer)
    return Plan(gate=context.gate, mechanism=mechanism, strength=constant(strength), through=context.through)


def _word_boost(context: ArmContext) -> Plan:
    words = context.components.first_words
    return replace(hybrid_plan(context), act="boost", words=words, strength=constant(context.tuned.boost))


def _random_vectors(context: ArmContext) -> Plan:
    hybrid = hybrid_plan(context)
    assert hybrid.mechanism is not None
    return replace(hybrid, mechanism=hybrid.mechanism.random(context.seed))


def _random_behaviour(context: ArmContext) -> Plan:
    return replace(hybrid_plan(context), chooser=any_behaviour(len(context.components.behaviours), context.seed))


def _least_similar(context: ArmContext) -> Plan:
    hybrid = hybrid_plan(context)
    assert hybrid.mechanism is not None and hybrid.chooser is not None
    return replace(hybrid, chooser=through(hybrid.mechanism.least_similar(), hybrid.chooser))


def _random_positions(context: ArmContext) -> Plan:
    hybrid = context.hybrid_records
    # Single tokens; where the hybrid acts through the sentence, each with one of its doses.
    doses = [] if context.through is None else steered_strengths(hybrid)
    strength = shuffled(doses, context.seed) if doses else context.strength
    gate = positions(gated_share(hybrid), context.seed)
    return replace(hybrid_plan(context), gate=gate, strength=strength, through=None)


def _always_on(context: ArmContext) -> Plan:
    return replace(hybrid_plan(context), gate=always, through=None)


def _shuffled_strengths(context: ArmContext) -> Plan:
    strengths = varied_strengths(context.runs, context.through)
    return replace(hybrid_plan(context), strength=shuffled(strengths, context.seed))


_ENTRIES = (
    Arm(
        name=BASE,
        about="the base model, bare question",
        role="end",
        by_default=True,
        plan=_base_alone,
    ),
    Arm(
        name="base-step-by-step",
        about="the base model, asked to think step by step",
        role="prompt",
        needs=frozenset({"step-by-step prompt"}),
        by_default=True,
        plan=_base_alone,
    ),
    Arm(
        name=THINKING,
        about="the thinking model",
        role="end",
        needs=frozenset({"thinking model"}),
        by_default=True,
        plan=_thinking_alone,
    ),
    Arm(  # towards the behaviour that a probe on the base expects
        name=HYBRID,
        about="base, steered where the models differ",
        role="hybrid",
        needs=frozenset({"thinking model"}),
        by_default=True,
        plan=hybrid_plan,
    ),
    Arm(  # no thinking model runs
        name=PROBE_GATED,
        about="base, steered where a probe on itself says so",
        role="variant",
        plan=_probe_gated,
    ),
    Arm(
        name=NETWORK,
        about="the hybrid, each strength set by a network on the base's activation",
        role="variant",
        needs=frozenset({"thinking model", "coefficient network"}),
        plan=_network_strength,
    ),
    Arm(  # greedily, with a gate wherever the models differ, this is the thinking model itself
        name="oracle",
        about="base, the thinking model's token taken where they differ",
        role="ceiling",
        needs=frozenset({"thinking model"}),
        by_default=True,
        plan=_oracle,
    ),
    Arm(
        name="forcing",
        about="base, the thinking model's first words of sentences",
        role="ceiling",
        needs=frozenset({"thinking model"}),
        plan=_forcing,
    ),
    Arm(
        name=WORDS,
        about="the behaviour's first words made likelier where the models differ, no vector",
        role="control",
        needs=frozenset({"thinking model", "first words"}),
        by_default=True,
        plan=_word_boost,
    ),
    *PHRASE_ARMS,
    Arm(
        name="bias",
        about="one general vector where the models differ",
        role="control",
        needs=frozenset({"thinking model", "bias vector"}),
        plan=_bias,
    ),
    Arm(
        name="random-vectors",
        about="random directions where the models differ",
        role="control",
        needs=frozenset({"thinking model", "seeds"}),
        by_default=True,
        plan=_random_vectors,
    ),
    Arm(
        name="random-behaviour",
        about="any behaviour's vector where the models differ",
        role="control",
        needs=frozenset({"thinking model"}),
        by_default=True,
        plan=_random_behaviour,
    ),
    Arm(
        name="least-similar",
        about="the vector least like the right one where the models differ",
        role="control",
        needs=frozenset({"thinking model"}),
        plan=_least_similar,
    ),
    Arm(
        name="random-positions",
        about="the hybrid's vectors at random tokens, as many",
        role="control",
        by_default=True,
        plan=_random_positions,
    ),
    *BOUNDARY_ARMS,
    Arm(
        name="always-on",
        about="the hybrid's vectors at every token",
        role="control",
        plan=_always_on,
    ),
    Arm(  # keeps how strong steering is, loses when; where the hybrid has one strength, those of the network
        name="shuffled-strengths",
        about="the strengths of the hybrid, or of the network, in another order",
        role="ablation",
        needs=frozenset({"thinking model", "varied strengths"}),
        plan=_shuffled_strengths,
    ),
    *BEHAVIOUR_ARMS,
)
ARMS: dict[str, Arm] = {arm.name: arm for arm in _ENTRIES}


def arms_of_role(role: Role) -> list[str]:
    """List the arms of a role, in the order of the table."""
    return [name for name, arm in ARMS.items() if arm.role == role]


def arm_of(run: str) -> Arm:
    """Find the entry of the table that a run is of: its own, or for `NAME-BEHAVIOUR` that of an arm with a run each.

    Args:
        run: Its name in results.

    Raises:
        KeyError: There is none.
    """
    if run in ARMS:
        return ARMS[run]
    of_each = (arm for name, arm in ARMS.items() if "each behaviour" in arm.needs and run.startswith(f"{name}-"))
    arm = next(of_each, None)
    if arm is None:
        raise KeyError(run)
    return arm


def varied_strengths(runs: Mapping[str, ArmRun], through: Through | None) -> list[float]:
    """List the strengths to shuffle: those of the hybrid, or where they are all one, those of the network's arm.

    Args:
        runs: Of the arms that have run.
        through: How long the hybrid's doses last: the strengths with which gates opened are meant.

    Returns:
        Strengths of steered tokens in order; none where neither arm steered with more than one.
    """
    for name in (HYBRID, NETWORK):
        strengths = steered_strengths(runs[name].records[0], through) if name in runs else []
        if len(set(strengths)) > 1:
            return strengths
    return []


def any_behaviour(n_behaviours: int, seed: int) -> Chooser:
    """Draw any behaviour, for each token anew."""
    return lambda state: uploaded(torch.from_numpy(_draws(state, seed, n_behaviours)), state.last_ids.device)


def through(table: Int[Tensor, " n_behaviours"], chooser: Chooser) -> Chooser:
    """Map each behaviour that `chooser` gives through a table."""
    copies = DeviceCopies(table)
    return lambda state: copies.on(state.last_ids.device)[chooser(state)]


def _draws(state: StepState, seed: int, n: int) -> np.ndarray:
    """A number below n for each row, the same whatever other rows there are; tokens are drawn by other numbers."""
    own = (np.random.SeedSequence([seed, row, state.step], spawn_key=STREAM) for row in state.row_numbers)
    return np.array([np.random.default_rng(one).integers(n) for one in own])
