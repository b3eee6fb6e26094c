"""What the arms of a pair say together."""

from __future__ import annotations

import pytest

from reasonlens.pairs.hybrid.measure import ArmResult
from reasonlens.pairs.hybrid.verdict import best_control, verdict_of
from tests.pairs.hybrid.results import arm_result


@pytest.mark.parametrize(
    ("hybrid", "is_beaten", "expected"),
    [
        (arm_result("hybrid", 0.8), True, "The base can, and is not told when: 0.80 [0.75, 0.85]"),
        (arm_result("hybrid", 0.05), False, "Steering recovers little"),
        (
            arm_result("hybrid", 0.8),
            False,
            "Nothing shown: 0.80 [0.75, 0.85] of the gap with 5.0% of tokens steered, and is not shown to be more than "
            "random-vectors; the best control, random-vectors, recovers 0.05.",
        ),
        (arm_result("hybrid", -0.3), True, "The hybrid is worse than its base"),
        (arm_result("hybrid", 0.4), True, "Part of the gap"),
        (
            arm_result("hybrid", float("nan"), no_gap="the thinking model is worse"),
            True,
            "No gap to recover: the thinking model",
        ),
    ],
)
def test_the_verdict_follows_from_the_numbers(hybrid: ArmResult, is_beaten: bool, expected: str) -> None:
    control = arm_result("random-vectors", 0.05, role="control", behind_low=0.1 if is_beaten else 0.0)
    oracle = arm_result("oracle", 1.0, role="ceiling", behind_low=-0.5)  # is none of the controls
    assert verdict_of({"hybrid": hybrid, "oracle": oracle, "random-vectors": control}).startswith(expected)


def test_without_a_control_nothing_is_shown() -> None:
    arms = {"hybrid": arm_result("hybrid", 0.8), "shuffled": arm_result("shuffled", 0.1, role="ablation")}
    assert verdict_of(arms).startswith("Nothing shown: 0.80 [0.75, 0.85]")
    assert best_control(arms) is None


def test_a_control_that_recovers_part_of_the_gap_leaves_the_verdict_in_parts() -> None:
    controls = {name: arm_result(name, gap, role="control") for name, gap in (("bias", 0.3), ("random-vectors", 0.1))}
    best = best_control(controls)
    assert best is not None and best.arm == "bias"
    assert verdict_of({"hybrid": arm_result("hybrid", 0.8), **controls}).startswith("Part of the gap")


def test_figures_that_are_not_known_survive_json() -> None:
    one = arm_result("hybrid", float("nan"), no_gap="none")
    assert one.to_dict()["gap"] is None
    assert ArmResult.from_dict(one.to_dict()).to_dict() == one.to_dict()
