"""What the arms of a pair say together, by rules that were written down before new pairs were run (docs/verdicts.md).

`RULES` is gone through in order, and the first rule that applies gives the sentence. Rules compare the ends of
intervals with `Thresholds`, never point estimates. A rule that would need an arm which was not run says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..verdict_sentence import Verdict, conclude
from .arms import HYBRID, THINKING
from .control_rules import as_good, broken, missing, not_beaten, part_explained, rate, steered_less
from .evidence import CEILING, PROMPTED, Evidence
from .figures_in_words import against, deciding, deciding_both, ends, recovered


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
    return _decided_by(evidence, _cut_off(evidence), "truncated", "responses that were cut off")


def _unsure(evidence: Evidence) -> Verdict | None:
    unsure, cut_off = evidence.ungraded(), _cut_off(evidence)
    shares = {name: min(unsure.get(name, 0) + cut_off.get(name, 0), 1) for name in {**unsure, **cut_off}}
    return _decided_by(evidence, shares if unsure else {}, "unsure", "unsure grades")


def _cut_off(evidence: Evidence) -> dict[str, float]:
    """Count every response that was cut off against a claim, and more than a few against what is not shown."""
    is_not_shown = _of_figures(evidence).rule in ("no gap", "as good")
    return evidence.cut_off(evidence.thresholds.truncated if is_not_shown else 0)


def _decided_by(evidence: Evidence, shares: Mapping[str, float], figure: str, what: str) -> Verdict | None:
    """Conclude nothing if the sentence depends on whether open responses are right."""
    if not shares:
        return None
    at_none, *others = (_of_figures(bound) for bound in evidence.bounds(shares))
    claim = _claim(at_none)
    other = next((one for one in others if _claim(one) != claim), None)
    if other is None:
        return None
    alone = [name for name in shares if _claim(_of_figures(evidence.with_more_right({name: shares[name]}))) != claim]
    largest = max((evidence.arms[name] for name in alone or shares), key=lambda arm: getattr(arm, figure))
    because = (
        f"{what} decide it ({getattr(largest, figure):.1%} of {largest.arm}): “{at_none.headline}” if none of them is "
        f"right, “{other.headline}” at another bound"
    )
    return conclude(figure, "Cannot say", because, tuple(shares), deciding(largest, figure))


def _of_figures(evidence: Evidence) -> Verdict:
    """Say what the figures show, were no response open."""
    return _first(RULES[2:], evidence)


def _claim(verdict: Verdict) -> tuple[str, str]:
    # Which control explains a part, or might, may differ from bound to bound: the claim is the same.
    return verdict.rule, "" if verdict.rule == "part explained" else verdict.headline


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


def _when(evidence: Evidence) -> Verdict | None:
    if evidence.hybrid.gap_low < evidence.thresholds.most:
        return None
    return _beside_controls("when", "The base can, and is not told when", evidence)


PART = "Part of the gap is recovered by steering, and little or none of that by any control"


def _part(evidence: Evidence) -> Verdict | None:
    return _beside_controls("part", PART, evidence)


RULES = (
    Rule(name="truncated", decide=_truncated),
    Rule(name="unsure", decide=_unsure),
    Rule(name="no gap", decide=_no_gap),
    Rule(name="chance", decide=_chance),
    Rule(name="asked", decide=_asked),
    Rule(name="worse", decide=_worse),
    Rule(name="little", decide=_little),
    Rule(name="interval", decide=_interval),
    Rule(name="as good", decide=as_good),
    Rule(name="missing", decide=missing),
    Rule(name="broken", decide=broken),
    Rule(name="rate", decide=rate),
    Rule(name="not beaten", decide=not_beaten),
    Rule(name="part explained", decide=part_explained),
    Rule(name="when", decide=_when),
    Rule(name="part", decide=_part),
)


def _beside_controls(rule: str, headline: str, evidence: Evidence) -> Verdict:
    compared = evidence.compared()
    best = max(compared, key=lambda arm: arm.gap_high)
    open_questions = [] if evidence.has_prompt else ["; the base has no words to be asked with"]
    because = f"{against(evidence, best)}{steered_less(evidence)}{''.join(open_questions)}"
    return conclude(rule, headline, because, tuple(arm.arm for arm in compared), *deciding_both(evidence, best))
