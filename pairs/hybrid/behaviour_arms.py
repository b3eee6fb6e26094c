"""Arms that take *when* and *which* from different places, and the hybrid without each behaviour.

| which behaviour | when the thinking model says | when a probe on the base says |
|---|---|---|
| by the base's activations, of the thinking model's sentences | `hybrid` | `probe-gated` |
| by the thinking model's activations, of its own sentences | `thinking-behaviour` | `base-moments` |
| by the base's activations, of its own sentences | `base-behaviour` | the base does so by itself |
"""

from __future__ import annotations

from dataclasses import replace

from ._decode import Plan
from .arm import Arm, ArmContext, hybrid_plan
from .arm_run import opening_share
from .gate import unless


def _thinking_behaviour(context: ArmContext) -> Plan:
    probe = context.components.behaviour_probes["thinking", context.tuned.layer]
    return replace(hybrid_plan(context), chooser=probe.chooser, follower_layer=probe.layer)


def _base_behaviour(context: ArmContext) -> Plan:
    probe = context.components.behaviour_probes["base", context.tuned.layer]
    return replace(hybrid_plan(context), chooser=probe.chooser)


def _base_moments(context: ArmContext) -> Plan:
    components, layer = context.components, context.tuned.layer
    share = opening_share(context.hybrid_records, context.through)
    gate = components.gate(layer, components.probes.threshold_at(layer, share))
    return replace(_thinking_behaviour(context), gate=gate)


def _without(context: ArmContext) -> Plan:
    hybrid = hybrid_plan(context)
    assert hybrid.chooser is not None and context.behaviour is not None
    return replace(hybrid, gate=unless(hybrid.gate, hybrid.chooser, context.behaviour))


BEHAVIOUR_ARMS = (
    Arm(  # the hybrid chooses by a probe on the base, fitted to the thinking model's sentences
        name="thinking-behaviour",
        about="the hybrid, its behaviour by a probe on the thinking model's activations",
        role="variant",
        needs=frozenset({"thinking model", "thinking's behaviour"}),
        plan=_thinking_behaviour,
    ),
    Arm(
        name="base-moments",
        about="the same at moments, as many, that a probe on the base picks",
        role="variant",
        needs=frozenset({"thinking model", "thinking's behaviour"}),
        plan=_base_moments,
    ),
    Arm(  # the reverse: keeps when, loses which
        name="base-behaviour",
        about="the hybrid, towards the behaviour that the base would show next by itself",
        role="ablation",
        needs=frozenset({"thinking model", "base's behaviour"}),
        plan=_base_behaviour,
    ),
    Arm(  # a run for each behaviour
        name="without",
        about="the hybrid, never steered towards this behaviour",
        role="ablation",
        needs=frozenset({"thinking model", "each behaviour"}),
        plan=_without,
    ),
)
