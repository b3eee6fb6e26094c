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
from collections.abc import Mapping, Sequence

from .arms import CONTROLS
from .measure import ArmResult

RECOVERED = 0.5
RECOVERED_LOW = 0.4
LITTLE = 0.25
CONTROL = 0.25


def verdict_of(arms: Mapping[str, ArmResult], not_beaten: Sequence[str] = ()) -> str:
    """The verdict of one pair, with the numbers that decide it.

    not_beaten: controls that the hybrid is not shown to be better than.
    """
    hybrid = arms["hybrid"]
    if math.isnan(hybrid.gap):
        return f"No gap to recover: {hybrid.no_gap}."
    interval = f"[{hybrid.gap_low:.2f}, {hybrid.gap_high:.2f}]"
    said = f"{hybrid.gap:.2f} {interval} of the gap with {hybrid.steered:.1%} of tokens steered"
    if hybrid.gain_high < 0:
        return f"The hybrid is worse than its base: {said}."
    controls = {name: arms[name] for name in CONTROLS if name in arms}
    best = max(controls, key=lambda name: controls[name].gap, default="")
    beside = f"; the best control, {best}, recovers {controls[best].gap:.2f}" if best else "; no control was run"
    if hybrid.gap_high < LITTLE:
        return (
            f"Steering recovers little: {said}{beside}. These vectors do not get from the base what the thinking model "
            "learnt."
        )
    if not_beaten or not best:
        beaten = f", and is not shown to be more than {', '.join(not_beaten)}" if not_beaten else ""
        return f"Nothing shown: {said}{beaten}{beside}."
    if hybrid.gap >= RECOVERED and hybrid.gap_low >= RECOVERED_LOW and controls[best].gap < CONTROL:
        return f"The base can, and is not told when: {said}{beside}."
    return f"Part of the gap: {said}{beside}."
