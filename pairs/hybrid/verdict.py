"""What the arms of a pair say together, in a sentence, by rules that are written down before anything is run.

1. No gap: the thinking model is not shown to be better than the base. There is nothing to recover.
2. Worse: the interval of hybrid - base lies below 0.
3. Little: the upper end of the hybrid's interval stays under LITTLE. These vectors do not get from the base what the
   thinking model learnt.
4. Nothing shown: no control was run, or the hybrid is not shown to be better than some control (problems paired).
5. When: the hybrid recovers at least RECOVERED of the gap, the lower end of its interval at least RECOVERED_LOW, and
   every control less than CONTROL. The base has the skill; the thinking model knows when.
6. Else: part of the gap.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from .arms import HYBRID
from .measure import ArmResult

RECOVERED = 0.5
RECOVERED_LOW = 0.4
LITTLE = 0.25
CONTROL = 0.25


def verdict_of(arms: Mapping[str, ArmResult]) -> str:
    """Say what the arms of one pair show, with the numbers that decide it.

    Args:
        arms: Arm -> its figures; the hybrid is among them.
    """
    hybrid = arms[HYBRID]
    if math.isnan(hybrid.gap):
        return f"No gap to recover: {hybrid.no_gap}."
    interval = f"[{hybrid.gap_low:.2f}, {hybrid.gap_high:.2f}]"
    recovered = f"{hybrid.gap:.2f} {interval} of the gap with {hybrid.steered:.1%} of tokens steered"
    if hybrid.gain_high < 0:
        return f"The hybrid is worse than its base: {recovered}."
    best = best_control(arms)
    beside = "; no control was run"
    if best is not None:
        beside = f"; the best control, {best.arm}, recovers {best.gap:.2f}"
    if hybrid.gap_high < LITTLE:
        return (
            f"Steering recovers little: {recovered}{beside}. These vectors do not get from the base what the thinking "
            "model learnt."
        )
    not_beaten = [arm.arm for arm in arms.values() if arm.role == "control" and arm.behind_low <= 0]
    if not_beaten or best is None:
        beaten = f", and is not shown to be more than {', '.join(not_beaten)}" if not_beaten else ""
        return f"Nothing shown: {recovered}{beaten}{beside}."
    if hybrid.gap >= RECOVERED and hybrid.gap_low >= RECOVERED_LOW and best.gap < CONTROL:
        return f"The base can, and is not told when: {recovered}{beside}."
    return f"Part of the gap: {recovered}{beside}."


def best_control(arms: Mapping[str, ArmResult]) -> ArmResult | None:
    """Find the control that recovers most of the gap; None where none was run, or there is no gap."""
    controls = [arm for arm in arms.values() if arm.role == "control" and not math.isnan(arm.gap)]
    return max(controls, key=lambda arm: arm.gap, default=None)
