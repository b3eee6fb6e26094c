"""What the arms of a pair say together, by rules that were written down before new pairs were run (docs/verdicts.md).

`RULES` is gone through in order, and the first rule that applies gives the sentence. Rules compare the ends of
intervals with `Thresholds`, never point estimates. A rule that would need an arm which was not run says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .arms import HYBRID, THINKING
from .evidence import CEILING, PROMPTED, RANDOM_POSITIONS, Evidence
from .measure import ArmResult
from .verdict import Verdict, against, conclude, deciding, deciding_both, ends, recovered


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: its name in the docs, and a function that gives the verdict, or None where it does not apply."""

    name: str
    decide: Callable[[Evidence], Verdict | None]


def verdict_of(evidence: Evidence) -> Verdict:
    """Say what the arms of one pair show, by the first rule that applies.

    Args:
        evidence: The figures of the arms, the chance level and the thresholds.
    """
    return _first(RULES, evidence)


def _first(rules: tuple[Rule, ...], evidence: Evidence) -> Verdict:
    return next(verdict for rule in rules if (verdict := rule.decide(evidence)) is not None)


def _truncated(evidence: Evidence) -> Verdict | None:
    return _decided_by(evidence, evidence.cut_off(), "truncated", "responses that were cut off")


def _unsure(evidence: Evidence) -> Verdict | None:
    unsure, cut_off = evidence.ungraded(), evidence.cut_off()
    shares = {name: min(unsure.get(name, 0) + cut_off.get(name, 0), 1) for name in {**unsure, **cut_off}}
    return _decided_by(evidence, shares if unsure else {}, "unsure", "unsure grades")


def _decided_by(evidence: Evidence, shares: Mapping[str, float], figure: str, what: str) -> Verdict | None:
    """Conclude nothing if the sentence depends on whether open responses are right."""
    if not shares:
        return None
    at_none, *others = (_first(RULES[2:], bound) for bound in evidence.bounds(shares))
    other = next((one for one in others if _claim(one) != _claim(at_none)), None)
    if other is None:
        return None
    largest = max((evidence.arms[name] for name in shares), key=lambda arm: getattr(arm, figure))
    because = (
        f"{what} decide it ({getattr(largest, figure):.1%} of {largest.arm}): “{at_none.headline}” if none of them is "
        f"right, “{other.headline}” at another bound"
    )
    return conclude(figure, "Cannot say", because, tuple(shares), deciding(largest, figure))


def _claim(verdict: Verdict) -> tuple[str, str]:
    return verdict.rule, verdict.headline


def _no_gap(evidence: Evidence) -> Verdict | None:
    if not evidence.hybrid.no_gap:
        return None
    thinking = evidence.arms[THINKING]
    headline = "There is no gap to recover"
    return conclude("no gap", headline, evidence.hybrid.no_gap, (THINKING,), deciding(thinking, "gain"))


def _chance(evidence: Evidence) -> Verdict | None:
    level, hybrid = evidence.chance, evidence.hybrid
    arms = [evidence.arms[THINKING], *([hybrid] if hybrid.gap_low > 0 else [])]
    at_chance = None if level is None else next((arm for arm in arms if arm.accuracy_low <= level), None)
    if at_chance is None:
        return None
    because = (
        f"{at_chance.arm} is not shown to be above the chance level: it solves {ends(at_chance, 'accuracy')}, and the "
        f"commonest answer alone {level:.2f}"
    )
    return conclude("chance", "Cannot say", because, ("chance level",), deciding(at_chance, "accuracy"))


def _asked(evidence: Evidence) -> Verdict | None:
    prompted, hybrid = evidence.prompted, evidence.hybrid
    if prompted is None or prompted.behind_low > 0 or prompted.gain_low <= 0:
        return None
    if max(prompted.gap_high, hybrid.gap_high) < evidence.thresholds.little:
        return None
    headline = "Steering is not shown to do more than asking the base to think step by step"
    if prompted.gap_low >= evidence.thresholds.most:
        headline = "The base can when it is asked to, and steering is not shown to do more"
    return conclude("asked", headline, against(evidence, prompted), (PROMPTED,), *deciding_both(evidence, prompted))


def _worse(evidence: Evidence) -> Verdict | None:
    if evidence.hybrid.gain_high >= 0:
        return None
    return conclude(
        "worse", "The hybrid is worse than its base", recovered(evidence), (HYBRID,), deciding(evidence.hybrid, "gain")
    )


def _little(evidence: Evidence) -> Verdict | None:
    limits, hybrid = evidence.thresholds, evidence.hybrid
    if hybrid.gap_high >= limits.little:
        return None
    headline, ceiling, figure = "Steering recovers little", evidence.arms.get(CEILING), deciding(hybrid, "gap")
    because = recovered(evidence)
    if ceiling is None:
        return conclude(
            "little", f"{headline}; cannot say why, no one-token takeover was run", because, (CEILING,), figure
        )
    if ceiling.gap_low < limits.most:
        headline = f"{headline}; cannot say why, the tokens chosen do not carry the gap"
        because += f"; the thinking model's own tokens there {ends(ceiling, 'gap')}"
        return conclude("little", headline, because, (CEILING,), figure, deciding(ceiling, "gap"))
    because += f"; the thinking model's own tokens at these places recover {ends(ceiling, 'gap')}"
    prompted = evidence.prompted
    if prompted is None and evidence.has_prompt:
        headline = f"{headline}; cannot say whether the base can, no step-by-step prompted base was run"
    elif prompted is not None and prompted.gap_high >= limits.little:
        headline = f"{headline}; cannot say whether the base can, asked to it might"
        because += f", the prompted base {ends(prompted, 'gap')}"
    else:
        headline = f"{headline}, and these vectors do not get from the base what the thinking model learnt"
    return conclude("little", headline, because, (PROMPTED, CEILING), figure, deciding(ceiling, "gap"))


def _interval(evidence: Evidence) -> Verdict | None:
    hybrid, limits = evidence.hybrid, evidence.thresholds
    is_wide = hybrid.gap_high - hybrid.gap_low > limits.width and hybrid.gap_low < limits.most
    if hybrid.gap_low > 0 and not is_wide:
        return None
    because = f"the interval reaches from {hybrid.gap_low:.2f} to {hybrid.gap_high:.2f} of the gap (n = {hybrid.n})"
    return conclude("interval", "Cannot say", because, ("more problems",), deciding(hybrid, "gap"))


def _as_good(evidence: Evidence) -> Verdict | None:
    for control, arm in evidence.controls():
        if arm.behind_low <= 0 and arm.gain_low > 0:
            figures = deciding_both(evidence, arm)
            return conclude("as good", control.refuted, against(evidence, arm), (arm.arm,), *figures)
    return None


def _missing(evidence: Evidence) -> Verdict | None:
    missing = evidence.missing()
    if not missing:
        return None
    because = f"{recovered(evidence)}, which another explanation might do as well"
    headline = f"Cannot say: no {' and no '.join(missing)} was run"
    return conclude("missing", headline, because, tuple(missing), deciding(evidence.hybrid, "gap"))


def _rate(evidence: Evidence) -> Verdict | None:
    random = evidence.arms[RANDOM_POSITIONS]  # `missing` comes before
    if random.steered >= evidence.thresholds.rate * evidence.hybrid.steered:
        return None
    because = (
        f"the timing control steers {random.steered:.1%} of its tokens and the hybrid {evidence.hybrid.steered:.1%}, "
        "which is no match"
    )
    figures = deciding(random, "steered"), deciding(evidence.hybrid, "steered")
    return conclude("rate", "Cannot say", because, (random.arm,), *figures)


def _not_beaten(evidence: Evidence) -> Verdict | None:
    for arm in _compared(evidence):
        if arm.behind_low <= 0:
            because = f"the hybrid is not shown to be better than {arm.arm}; {against(evidence, arm)}"
            return conclude("not beaten", "Cannot say", because, (arm.arm,), *deciding_both(evidence, arm))
    return None


def _part_explained(evidence: Evidence) -> Verdict | None:
    best = max(_compared(evidence), key=lambda arm: arm.gap_high)
    if best.gap_high < evidence.thresholds.control:
        return None
    headline = f"Steering recovers more than its controls, and {best.arm} explains a part, or might"
    return conclude("part explained", headline, against(evidence, best), (best.arm,), *deciding_both(evidence, best))


def _when(evidence: Evidence) -> Verdict | None:
    if evidence.hybrid.gap_low < evidence.thresholds.most:
        return None
    return _beside_controls("when", "The base can, and is not told when", evidence)


def _part(evidence: Evidence) -> Verdict | None:
    return _beside_controls("part", "Part of the gap is recovered by steering, and by no control", evidence)


RULES = (
    Rule(name="truncated", decide=_truncated),
    Rule(name="unsure", decide=_unsure),
    Rule(name="no gap", decide=_no_gap),
    Rule(name="chance", decide=_chance),
    Rule(name="asked", decide=_asked),
    Rule(name="worse", decide=_worse),
    Rule(name="little", decide=_little),
    Rule(name="interval", decide=_interval),
    Rule(name="as good", decide=_as_good),
    Rule(name="missing", decide=_missing),
    Rule(name="rate", decide=_rate),
    Rule(name="not beaten", decide=_not_beaten),
    Rule(name="part explained", decide=_part_explained),
    Rule(name="when", decide=_when),
    Rule(name="part", decide=_part),
)


def _compared(evidence: Evidence) -> list[ArmResult]:
    return [arm for _, arm in evidence.controls()] + ([evidence.prompted] if evidence.prompted else [])


def _beside_controls(rule: str, headline: str, evidence: Evidence) -> Verdict:
    compared = _compared(evidence)
    best = max(compared, key=lambda arm: arm.gap_high)
    open_questions = [] if evidence.has_prompt else ["; the base has no words to be asked with"]
    because = f"{against(evidence, best)}{''.join(open_questions)}"
    return conclude(rule, headline, because, tuple(arm.arm for arm in compared), *deciding_both(evidence, best))
