"""What the arms of a pair say together."""

from __future__ import annotations

from typing import Any

import pytest

from reasonlens.pairs.hybrid.measure import ArmResult
from reasonlens.pairs.hybrid.verdict import best_control, verdict_of


def arm(name: str, gap: float, spread: float = 0.05, **options: Any) -> ArmResult:
    known = {
        **{
            "arm": name,
            "role": "hybrid",
            "n": 500,
            "n_problems": 500,
            "n_seeds": 1,
            "accuracy": 0.5,
            "accuracy_low": 0.4,
            "accuracy_high": 0.6,
        },
        **{"gain": gap / 2, "gain_low": gap / 2 - spread, "gain_high": gap / 2 + spread, "no_gap": ""},
        **{"gap": gap, "gap_low": gap - spread, "gap_high": gap + spread, "p_mcnemar": 0.1, "steered": 0.05},
        **{"behind": 0.2, "behind_low": 0.1, "behind_high": 0.3},
        **{"effective": 0.05, "changed": 0.04, "truncated": 0.0, "tokens": 50.0},
    }
    return ArmResult(**(known | options))


@pytest.mark.parametrize(
    ("hybrid", "is_beaten", "expected"),
    [
        (arm("hybrid", 0.8), True, "The base can, and is not told when: 0.80 [0.75, 0.85]"),
        (arm("hybrid", 0.05), False, "Steering recovers little"),
        (
            arm("hybrid", 0.8),
            False,
            "Nothing shown: 0.80 [0.75, 0.85] of the gap with 5.0% of tokens steered, and is not shown to be more than "
            "random-vectors; the best control, random-vectors, recovers 0.05.",
        ),
        (arm("hybrid", -0.3), True, "The hybrid is worse than its base"),
        (arm("hybrid", 0.4), True, "Part of the gap"),
        (
            arm("hybrid", float("nan"), no_gap="the thinking model is worse"),
            True,
            "No gap to recover: the thinking model",
        ),
    ],
)
def test_the_verdict_follows_from_the_numbers(hybrid: ArmResult, is_beaten: bool, expected: str) -> None:
    control = arm("random-vectors", 0.05, role="control", behind_low=0.1 if is_beaten else 0.0)
    oracle = arm("oracle", 1.0, role="ceiling", behind_low=-0.5)  # is none of the controls
    assert verdict_of({"hybrid": hybrid, "oracle": oracle, "random-vectors": control}).startswith(expected)


def test_without_a_control_nothing_is_shown() -> None:
    arms = {"hybrid": arm("hybrid", 0.8), "shuffled": arm("shuffled", 0.1, role="ablation")}
    assert verdict_of(arms).startswith("Nothing shown: 0.80 [0.75, 0.85]")
    assert best_control(arms) is None


def test_a_control_that_recovers_part_of_the_gap_leaves_the_verdict_in_parts() -> None:
    controls = {name: arm(name, gap, role="control") for name, gap in (("bias", 0.3), ("random-vectors", 0.1))}
    best = best_control(controls)
    assert best is not None and best.arm == "bias"
    assert verdict_of({"hybrid": arm("hybrid", 0.8), **controls}).startswith("Part of the gap")


def test_figures_that_are_not_known_survive_json() -> None:
    one = arm("hybrid", float("nan"), no_gap="none")
    assert one.to_dict()["gap"] is None
    assert ArmResult.from_dict(one.to_dict()).to_dict() == one.to_dict()
