"""What the controls of a pair say: rules 9 to 14 of docs/verdicts.md, each a verdict, or None where it says nothing."""

from __future__ import annotations

from ..verdict_sentence import Verdict, conclude
from .evidence import Evidence
from .figures_in_words import against, deciding, deciding_both, ends, recovered
from .measure import ArmResult


def as_good(evidence: Evidence) -> Verdict | None:
    """Conclude that a control may do as well: it is better than the base, and is not beaten."""
    for control, arm in evidence.controls():
        if arm.behind_low <= 0 and arm.gain_low > 0:
            figures = deciding_both(evidence, arm)
            return conclude("as good", control.refuted, against(evidence, arm), (arm.arm,), *figures)
    return None


def missing(evidence: Evidence) -> Verdict | None:
    """Conclude nothing where a required control was not run."""
    names = evidence.missing()
    if not names:
        return None
    because = f"{recovered(evidence)}, which another explanation might do as well"
    *others, last = names
    headline = f"Cannot say: no {', '.join(others)}{' or ' if others else ''}{last} was run"
    return conclude("missing", headline, because, tuple(names), deciding(evidence.hybrid, "gap"))


def broken(evidence: Evidence) -> Verdict | None:
    """Conclude nothing where every arm of a required control broke the responses: its damage is no match."""
    for _, arms in evidence.required():
        if all(evidence.is_broken(arm) for arm in arms):
            arm = arms[0]  # `missing` comes before
            headline = f"Cannot say: the control {arm.arm} broke the responses"
            because = (
                f"{arm.truncated:.1%} of them were cut off, of the base's {evidence.base.truncated:.1%}, and of all "
                f"questions it solves {ends(arm, 'gain')} more than the base; {recovered(evidence)}"
            )
            figures = deciding(arm, "truncated"), deciding(arm, "gain"), deciding(evidence.hybrid, "gap")
            return conclude("broken", headline, because, (arm.arm,), *figures)
    return None


def rate(evidence: Evidence) -> Verdict | None:
    """Conclude nothing where no arm of a required control pushes at as many tokens as the hybrid."""
    for control, arms in evidence.required():
        unbroken = [arm for arm in arms if not evidence.is_broken(arm)]
        if not any(evidence.is_matched(control, arm) for arm in unbroken):
            arm, hybrid = unbroken[0], evidence.hybrid
            because = (
                f"the {control.name} is no match: {arm.arm} steers {arm.effective:.1%} of its tokens with a strength, "
                f"gate open at {arm.steered:.1%}, and the hybrid {hybrid.effective:.1%}, open at {hybrid.steered:.1%}"
            )
            figures = [deciding(one, figure) for one in (arm, hybrid) for figure in ("effective", "steered")]
            return conclude("rate", "Cannot say", because, (arm.arm,), *figures)
    return None


def not_beaten(evidence: Evidence) -> Verdict | None:
    """Conclude nothing where the hybrid is not shown to be better than an arm that it is compared with."""
    for arm in evidence.compared():
        if arm.behind_low <= 0:
            because = f"the hybrid is not shown to be better than {arm.arm}; {against(evidence, arm)}"
            return conclude("not beaten", "Cannot say", because, (arm.arm,), *deciding_both(evidence, arm))
    return None


def part_explained(evidence: Evidence) -> Verdict | None:
    """Conclude that a control explains a part of what the hybrid recovers, or might."""
    arms = [arm for arm in evidence.compared() if _explains(evidence, arm)]
    if not arms:
        return None
    best = max(arms, key=lambda arm: arm.gap_high)
    headline = f"Steering recovers more than its controls, and {best.arm} explains a part, or might"
    return conclude("part explained", headline, against(evidence, best), (best.arm,), *deciding_both(evidence, best))


def steered_less(evidence: Evidence) -> str:
    """Name the arms of required controls that were pushed at fewer tokens than the hybrid; empty if there are none.

    Args:
        evidence: Its controls are matched: these arms were pushed as often as their gate opened.
    """
    least = evidence.thresholds.rate * evidence.hybrid.effective
    fewer = [arm for _, arms in evidence.required() for arm in arms if arm.effective < least]
    if not fewer:
        return ""
    named = ", ".join(f"{arm.arm} {arm.effective:.1%}" for arm in fewer)
    return f"; pushed at fewer tokens than the hybrid (tokens steered: {named})"


def _explains(evidence: Evidence, arm: ArmResult) -> bool:
    """Hold the upper end of an arm against the lower end of the hybrid, which is no less than that of its controls."""
    limits, hybrid_low = evidence.thresholds, min(evidence.hybrid.gap_low, 1)
    is_shown = arm.gain_low > 0 and arm.gap_high >= limits.little * hybrid_low
    return is_shown or arm.gap_high >= limits.control * hybrid_low
