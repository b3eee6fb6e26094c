"""The table of arms: one entry is all that a new arm needs."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from reasonlens.generation import Sampling
from reasonlens.pairs import organism_pair
from reasonlens.pairs.hybrid import ARMS, Arm, ArmContext, HybridSettings, Plan, hybrid
from reasonlens.pairs.hybrid.arm import Need, Role
from reasonlens.pairs.hybrid.arms import BASE, HYBRID, PROBE_GATED, THINKING, arm_of, arms_of_role
from reasonlens.pairs.hybrid.evidence import CEILING, CONTROLS, PROMPTED, Evidence
from reasonlens.pairs.hybrid.strength import constant
from reasonlens.rundir import InputError
from tests.pairs.hybrid.planted import planted_pair
from tests.pairs.hybrid.results import arm_result


def nowhere_near(context: ArmContext) -> Plan:
    """Steer by the hybrid's plan, far too weakly to matter."""
    return replace(ARMS[HYBRID].plan(context), strength=constant(1e-3))


@pytest.mark.long
def test_an_arm_that_is_one_entry_goes_through_settings_run_verdict_figure_and_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arm = Arm(
        name="too-weak",
        about="the hybrid, a thousandth as strong",
        role="control",
        needs=frozenset({"thinking model"}),
        by_default=True,
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
        *("word-boost", "phrase-1", "phrase-2", "phrase-whole", "bias", "random-vectors", "random-behaviour"),
        *("least-similar", "random-positions", "boundaries", "random-boundaries", "always-on"),
    ]
    assert arms_of_role("ablation") == ["shuffled-strengths", "base-behaviour", "without"]
    assert arms_of_role("variant") == [PROBE_GATED, "network-strength", "thinking-behaviour", "base-moments"]


def test_arms_that_answer_without_a_thinking_model_are_marked_so() -> None:
    without = {name for name, arm in ARMS.items() if "thinking model" not in arm.needs}
    assert without == {
        *("base", "base-step-by-step", "probe-gated", "random-positions", "boundaries", "random-boundaries"),
        "always-on",
    }


def test_the_arms_that_run_by_default_are_those_that_a_verdict_requires() -> None:
    required = {BASE, THINKING, HYBRID, PROMPTED, CEILING}
    for control in CONTROLS:
        if control.is_required:
            required.add(control.arms[0])
    assert set(HybridSettings().arms) == required == set(HybridSettings.quick().arms)
    figures = {name: arm_result(name, 0.5, role=ARMS[name].role) for name in HybridSettings().arms}
    assert not Evidence(arms=figures).missing()
    for name in required - {BASE, THINKING, HYBRID, CEILING}:
        assert Evidence(arms={arm: figures[arm] for arm in figures if arm != name}).missing(), name


def test_all_names_every_arm() -> None:
    assert HybridSettings(arms=("all",)).arms == HybridSettings(arms=("oracle", "all")).arms == tuple(ARMS)
    with pytest.raises(InputError, match="there is no arm 'magic'.*, and all for every one"):
        HybridSettings(arms=("all", "magic"))


def test_a_run_for_one_behaviour_is_of_the_arm_with_a_run_for_each() -> None:
    assert arm_of("without-example-testing") is ARMS["without"]
    assert arm_of("random-vectors") is ARMS["random-vectors"]
    with pytest.raises(KeyError):
        arm_of("random-backtracking")


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
        *("base", "base-step-by-step", "thinking", "hybrid", "oracle", "word-boost", "phrase-whole"),
        *("random-vectors", "random-behaviour", "random-positions", "boundaries"),
    )


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
