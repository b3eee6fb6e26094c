"""The table of arms: one entry is all that a new arm needs."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from reasonlens.generation import Sampling
from reasonlens.pairs import organism_pair
from reasonlens.pairs.hybrid import ARMS, Arm, ArmContext, HybridSettings, Plan, hybrid
from reasonlens.pairs.hybrid.arm import Need, Role
from reasonlens.pairs.hybrid.arms import HYBRID, arms_of_role
from reasonlens.pairs.hybrid.evidence import Evidence
from reasonlens.pairs.hybrid.strength import constant
from reasonlens.rundir import InputError
from tests.pairs.hybrid.planted import planted_pair


def nowhere_near(context: ArmContext) -> Plan:
    """Steer by the hybrid's plan, far too weakly to matter."""
    return replace(ARMS[HYBRID].plan(context), strength=constant(1e-3))


def test_an_arm_that_is_one_entry_goes_through_settings_run_verdict_figure_and_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arm = Arm(
        name="too-weak",
        about="the hybrid, a thousandth as strong",
        role="control",
        needs=frozenset({"thinking model"}),
        in_quick=True,
        plan=nowhere_near,
    )
    monkeypatch.setitem(ARMS, arm.name, arm)
    assert arm.name in HybridSettings().arms and arm.name in HybridSettings.quick().arms
    assert arm.name in arms_of_role("control")
    settings = HybridSettings(
        arms=(arm.name,),
        mechanism="mean-difference",
        layers=(2,),
        strengths=(0.75,),
        thresholds=(0.0,),
        n_train=40,
        n_validation=4,
        n_test=40,
        rollout=Sampling(n_samples=1, temperature=0, max_new_tokens=287),
        sampling=Sampling(n_samples=1, temperature=0, max_new_tokens=287),
    )
    result = hybrid(
        pairs=[planted_pair(n_train=40, n_validation=4, n_test=40)],
        settings=settings,
        progress=False,
    )
    pair = result.pairs["rl-timing"]
    assert pair.run is not None
    strengths = {strength for record in pair.run.arms[arm.name].records[0] for strength in record.strength}
    assert sorted(strengths) == pytest.approx([0.0, 1e-3])
    assert pair.arms[arm.name].role == "control" and pair.arms[arm.name].gap == pytest.approx(0, abs=0.1)
    assert "too-weak" in {arm.arm for _, arm in Evidence(arms=pair.arms).controls()}, "the verdict compares with it"
    assert "too-weak" in result.figure().to_json() and arm.about in result.report()
    assert "too-weak" in set(result.to_frame()["arm"])


def test_every_arm_is_of_a_known_role_and_needs_what_there_is() -> None:
    assert all(arm.name == name and arm.role in get_args(Role) for name, arm in ARMS.items())
    assert all(arm.needs <= set(get_args(Need)) for arm in ARMS.values())
    assert arms_of_role("end") == ["base", "thinking"] and arms_of_role("hybrid") == [HYBRID]
    assert arms_of_role("control") == [
        *("word-boost", "bias", "random-vectors", "random-behaviour", "least-similar", "random-positions"),
        "always-on",
    ]


def test_arms_that_answer_without_a_thinking_model_are_marked_so() -> None:
    without = {name for name, arm in ARMS.items() if "thinking model" not in arm.needs}
    assert without == {"base", "base-step-by-step", "probe-gated", "random-positions", "always-on"}


def test_unknown_arms_and_empty_grids_are_refused() -> None:
    with pytest.raises(InputError, match="there is no arm 'magic'; there are base, "):
        HybridSettings(arms=("magic",))
    with pytest.raises(InputError, match="at least one strength"):
        HybridSettings(strengths=())
    with pytest.raises(InputError, match="at least one strength, one boost"):
        HybridSettings(boosts=())
    assert HybridSettings(arms=("oracle",)).arms == ("base", "thinking", "hybrid", "oracle")
    quick = HybridSettings.quick()
    assert quick.n_test == 200 and quick.arms == (
        *("base", "base-step-by-step", "thinking", "hybrid", "probe-gated", "oracle", "forcing"),
        *("word-boost", "bias", "random-vectors", "random-behaviour", "random-positions"),
    )
    assert HybridSettings().arms == tuple(ARMS)


def test_layers_are_read_against_the_model() -> None:
    base = organism_pair("organism/rl-timing", n_train=1, n_validation=1, n_test=1).base
    n = base.n_layers
    for layers, expected in (
        ("all", tuple(range(n))),
        ("-2:", (n - 2, n - 1)),
        ("1,-1", (1, n - 1)),
        ((0, -1), (0, n - 1)),
        (None, (0, 1, 2)),
    ):
        assert HybridSettings(layers=layers).layers_of(base) == expected
    with pytest.raises(InputError, match="layer 9 does not exist"):
        HybridSettings(layers="9").layers_of(base)
    with pytest.raises(InputError, match="cannot read layers 'some'"):
        HybridSettings(layers="some")
