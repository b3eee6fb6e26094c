"""Make the plan of an arm from settings, components and what was chosen."""

from __future__ import annotations

from collections.abc import Mapping

from ._decode import Plan, StrengthRule
from .arm import ArmContext, Tuned
from .arm_run import ArmRun
from .arms import ARMS
from .components import Components
from .gate import gate_named
from .settings import HybridSettings
from .strength import constant, per_behaviour, scaled
from .through import Through


def plan_of(
    arm: str,
    components: Components,
    tuned: Tuned,
    settings: HybridSettings,
    *,
    seed: int = 0,
    behaviour: int | None = None,
    runs: Mapping[str, ArmRun] | None = None,
) -> Plan:
    """Make the plan by which an arm decodes.

    Args:
        arm: Its name in `ARMS`.
        components: Vectors, probes and networks.
        tuned: Layer, strengths and threshold.
        settings: Say what the hybrid's gate and strengths are.
        seed: Of random vectors, behaviours, positions and orders.
        behaviour: That the run is about, of an arm with a run for each.
        runs: Of arms that have run, which controls are matched to.

    Raises:
        InputError: There is no such gate.
    """
    context = ArmContext(
        components=components,
        tuned=tuned,
        gate=gate_named(settings.gate, components.sentence_ends),
        strength=_hybrid_strength(components, tuned, settings),
        through=through_of(settings, components),
        seed=seed,
        behaviour=behaviour,
        runs=runs or {},
    )
    return ARMS[arm].plan(context)


def through_of(settings: HybridSettings, components: Components) -> Through | None:
    """Say how long the hybrid's doses last; None: at the tokens of its gate alone."""
    return Through(settings.through, components.sentence_ends) if settings.through else None


def _hybrid_strength(components: Components, tuned: Tuned, settings: HybridSettings) -> StrengthRule:
    if settings.strength_by == "network":
        return scaled(components.networks[tuned.layer].strength, tuned.strength)
    return per_behaviour(tuned.behaviour_strengths) if tuned.behaviour_strengths else constant(tuned.strength)
