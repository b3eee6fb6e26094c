"""What the arms of a pair say together: hand-made cases with the sentence that is right, and the page of the docs."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from math import nan
from pathlib import Path
from typing import Any

import pytest

from reasonlens.pairs.hybrid.arm import Role
from reasonlens.pairs.hybrid.arms import ARMS
from reasonlens.pairs.hybrid.evidence import CONTROLS, THRESHOLDS, Evidence, best_control
from reasonlens.pairs.hybrid.measure import ArmResult
from reasonlens.pairs.hybrid.verdict_rules import RULES, verdict_of
from tests.pairs.hybrid.results import arm_result

DOCS = Path(__file__).parents[3] / "docs" / "verdicts.md"

# A pair of 500 problems in miniature: an arm is its accuracy, and what is odd about it.
BASE, THINKING, HALF = 0.4, 0.9, 0.03  # accuracies of both ends, and half the width of every interval of accuracies
Figures = dict[str, float]


def arm(name: str, accuracy: float, hybrid: float, half: float, **figures: float) -> ArmResult:
    """Make an arm of a pair with a gap of 0.5; the interval of its share of the gap is as wide as that of its gain."""
    gain, gap = accuracy - BASE, (accuracy - BASE) / (THINKING - BASE)
    half_gap = 0 if name in ("base", "thinking") else half / (THINKING - BASE)
    role: Role = ARMS[name].role if name in ARMS else "control"
    known: dict[str, Any] = {
        **{"accuracy": accuracy, "accuracy_low": accuracy - half, "accuracy_high": accuracy + half},
        **{"gain": gain, "gain_low": gain - half, "gain_high": gain + half},
        **{"gap": gap, "gap_low": gap - half_gap, "gap_high": gap + half_gap, "unsure": 0.0},
        **{"behind": hybrid - accuracy, "behind_low": hybrid - accuracy - half},
        **{"behind_high": hybrid - accuracy + half},
    }
    return replace(arm_result(name, gap, role=role), **(known | figures))


def evidence(
    hybrid: float = 0.9,
    *,
    without: tuple[str, ...] = (),
    half: float = HALF,
    chance: float | None = None,
    has_prompt: bool = True,
    odd: dict[str, Figures] | None = None,
    **accuracies: float,
) -> Evidence:
    """Make the evidence of a pair with every control; those not named recover almost nothing."""
    known = {
        **{"base": BASE, "base-step-by-step": 0.45, "thinking": THINKING, "hybrid": hybrid, "oracle": 0.88},
        **{
            "phrase-whole": 0.42,
            "boundaries": 0.42,
            "word-boost": 0.42,
            "bias": 0.42,
            "random-vectors": 0.4,
            "random-behaviour": 0.42,
            "random-positions": 0.41,
        },
    }
    known |= {name.replace("_", "-"): accuracy for name, accuracy in accuracies.items()}
    arms = {
        name: arm(name, accuracy, hybrid, half, **(odd or {}).get(name, {}))
        for name, accuracy in known.items()
        if name not in without
    }
    return Evidence(arms=arms, chance=chance, has_prompt=has_prompt)


def no_gap(reason: str, thinking: float) -> Evidence:
    """Make the evidence of a pair whose thinking model is not shown to be better."""
    whole = evidence()
    arms = {name: replace(one, gap=nan, gap_low=nan, gap_high=nan, no_gap=reason) for name, one in whole.arms.items()}
    gain = thinking - BASE
    arms["thinking"] = replace(arms["thinking"], gain=gain, gain_low=gain - HALF, gain_high=gain + HALF)
    return replace(whole, arms=arms)


def with_gap(gap: float, case: Evidence) -> Evidence:
    """Narrow the gap of a case to `gap`: all accuracies above the base's, and their intervals, in proportion."""
    share = gap / (THINKING - BASE)
    arms = {}
    for name, one in case.arms.items():
        moved = {
            f"{figure}{end}": getattr(one, f"{figure}{end}") * share
            for figure in ("gain", "behind")
            for end in ("", "_low", "_high")
        }
        ends = {f"accuracy{end}": BASE + moved[f"gain{end}"] for end in ("", "_low", "_high")}
        arms[name] = replace(one, **moved, **ends)
    return replace(case, arms=arms)


STEPS = "the thinking model is not shown to be better than the base"
CAN = "The base can, and is not told when: the hybrid recovers"
EXPLAINED = "Steering recovers more than its controls, and {} explains a part, or might: the hybrid recovers "
PUSHED = ("random-vectors", "word-boost", "phrase-whole", "random-behaviour", "random-positions", "boundaries")
UNSURE = {name: {"unsure": 0.3} for name in ("random-positions",)}

CASES: dict[str, tuple[Evidence, str, str]] = {  # name: evidence, rule, beginning of the sentence that is right
    "every control is beaten": (evidence(), "when", f"{CAN} 1.00 [0.94, 1.06] of the gap"),
    "the prompted base does better than the hybrid": (
        evidence(0.9, base_step_by_step=0.95),
        "asked",
        "The base can when it is asked to, and steering is not shown to do more: the hybrid recovers 1.00",
    ),
    "the prompted base does as well": (
        evidence(0.8, base_step_by_step=0.79),
        "asked",
        "The base can when it is asked to, and steering is not shown to do more",
    ),
    "asking and steering both bring a part": (
        evidence(0.6, base_step_by_step=0.6),
        "asked",
        "Steering is not shown to do more than asking the base to think step by step",
    ),
    "the prompted base can though steering brings little": (
        evidence(0.44, base_step_by_step=0.85),
        "asked",
        "The base can when it is asked to",
    ),
    "the only control is random vectors": (
        evidence(without=("base-step-by-step", "word-boost", "bias", "random-behaviour", "random-positions")),
        "missing",
        "Cannot say: no word-boost control, timing control, category control or step-by-step prompted",
    ),
    "no timing control": (evidence(without=("random-positions",)), "missing", "Cannot say: no timing control was run"),
    "no category control": (
        evidence(without=("random-behaviour",)),
        "missing",
        "Cannot say: no category control was run",
    ),
    "the least similar behaviour is a category control": (
        evidence(without=("random-behaviour",), least_similar=0.4),
        "when",
        CAN,
    ),
    "no random vectors": (
        evidence(without=("random-vectors",)),
        "missing",
        "Cannot say: no random-vector control was run",
    ),
    "no word boost": (
        evidence(without=("word-boost", "bias")),
        "missing",
        "Cannot say: no word-boost control was run",
    ),
    "one general vector does not stand in for a word boost": (
        evidence(without=("word-boost",)),
        "missing",
        "Cannot say: no word-boost control was run: the hybrid recovers 1.00",
    ),
    "one general vector is not required": (evidence(without=("bias",)), "when", CAN),
    "no steering where sentences start": (
        evidence(without=("boundaries",)),
        "missing",
        "Cannot say: no sentence-start control was run",
    ),
    "as many sentence starts at random stand in for all of them": (
        evidence(without=("boundaries",), random_boundaries=0.42),
        "when",
        CAN,
    ),
    "steering wherever sentences start does as well": (
        evidence(0.85, boundaries=0.85),
        "as good",
        "It is not shown that the moment matters, steering wherever sentences start may do as well",
    ),
    "fewer sentences start than the hybrid steers tokens": (
        evidence(odd={"boundaries": {"steered": 0.01, "effective": 0.01}}),
        "when",
        CAN,
    ),
    "no wordings": (evidence(without=("phrase-whole",)), "missing", "Cannot say: no phrase control was run"),
    "first tokens do not stand in for whole wordings": (
        evidence(without=("phrase-whole",), phrase_1=0.42, phrase_2=0.42),
        "missing",
        "Cannot say: no phrase control was run",
    ),
    "the wordings alone do as well": (
        evidence(0.85, phrase_whole=0.85),
        "as good",
        "It is not shown that the behaviours' directions matter, their wordings alone may do as well",
    ),
    "the first token of the wordings does as well": (
        evidence(0.85, phrase_1=0.85),
        "as good",
        "It is not shown that the behaviours' directions matter, their first tokens alone may do as well",
    ),
    "the thinking model's behaviour does better, which is no other explanation": (
        evidence(0.9, thinking_behaviour=0.95, base_behaviour=0.95),
        "when",
        CAN,
    ),
    "no prompted base": (
        evidence(without=("base-step-by-step",)),
        "missing",
        "Cannot say: no step-by-step prompted base was run",
    ),
    "a base that has no words to be asked with": (
        evidence(without=("base-step-by-step",), has_prompt=False),
        "when",
        CAN,
    ),
    "always on is no timing control": (
        evidence(without=("random-positions",), always_on=0.2),
        "missing",
        "Cannot say: no timing control was run",
    ),
    "random positions as good": (
        evidence(0.85, random_positions=0.86),
        "as good",
        "It is not shown that the moment matters, steering at other tokens may do as well: the hybrid recovers 0.90",
    ),
    "random positions as good though another control is missing": (
        evidence(0.85, random_positions=0.86, without=("bias",)),
        "as good",
        "It is not shown that the moment matters",
    ),
    "random behaviour as good": (
        evidence(0.85, random_behaviour=0.85),
        "as good",
        "It is not shown that the behaviour matters",
    ),
    "word boost as good": (
        evidence(0.85, word_boost=0.85),
        "as good",
        "It is not shown that the behaviours' directions matter, their first words alone may do as well",
    ),
    "word boost as good though the timing control is missing": (
        evidence(0.85, word_boost=0.85, without=("random-positions",)),
        "as good",
        "It is not shown that the behaviours' directions matter, their first words alone may do as well",
    ),
    "a word boost explains a part": (
        evidence(0.78, word_boost=0.571),
        "part explained",
        "Steering recovers more than its controls, and word-boost explains a part, or might",
    ),
    "one general vector as good": (
        evidence(0.85, bias=0.85),
        "as good",
        "It is not shown that the behaviours' directions matter, one push for all may do as well",
    ),
    "random vectors as good": (
        evidence(0.85, random_vectors=0.84),
        "as good",
        "It is not shown that the directions matter",
    ),
    "steering everywhere as good": (evidence(0.85, always_on=0.85), "as good", "A control may do as well"),
    "SFT-like pair": (
        evidence(0.455, base_step_by_step=0.42),
        "little",
        "Steering recovers little, and these vectors do not get from the base what the thinking model learnt: "
        "the hybrid recovers 0.11 [0.05, 0.17]",
    ),
    "little, and no takeover to compare with": (
        evidence(0.455, base_step_by_step=0.42, without=("oracle",)),
        "little",
        "Steering recovers little; cannot say why, no one-token takeover was run",
    ),
    "little, for the gate misses the tokens that matter": (
        evidence(0.455, base_step_by_step=0.42, oracle=0.5),
        "little",
        "Steering recovers little; cannot say why, the tokens chosen do not carry the gap",
    ),
    "little, and the base was not asked": (
        evidence(0.455, without=("base-step-by-step",)),
        "little",
        "Steering recovers little; cannot say whether the base can, no step-by-step prompted base was run",
    ),
    "RL-like pair": (evidence(0.78, random_behaviour=0.42), "when", f"{CAN} 0.76 [0.70, 0.82]"),
    "RL-like pair of which any behaviour recovers a third": (
        evidence(0.78, random_behaviour=0.571),
        "part explained",
        "Steering recovers more than its controls, and random-behaviour explains a part, or might",
    ),
    "no gap": (no_gap(f"{STEPS}: 0.000", 0.4), "no gap", f"There is no gap to recover: {STEPS}"),
    "the thinking model is worse": (
        no_gap("the thinking model is worse than the base", 0.3),
        "no gap",
        "There is no gap to recover: the thinking model is worse than the base",
    ),
    "a gap that unsure grades could close": (
        evidence(odd={"base": {"unsure": 0.5}}),
        "unsure",
        "Cannot say: unsure grades decide it (50.0% of base)",
    ),
    "negative recovered gap": (
        evidence(0.3, base_step_by_step=0.4),
        "worse",
        "The hybrid is worse than its base: the hybrid recovers -0.20 [-0.26, -0.14]",
    ),
    "wide interval": (
        evidence(0.65, half=0.2, base_step_by_step=0.4),
        "interval",
        "Cannot say: the interval reaches from 0.10 to 0.90 of the gap",
    ),
    "an interval that reaches from nothing to a lot": (
        evidence(0.46, half=0.1, base_step_by_step=0.4),
        "interval",
        "Cannot say: the interval reaches from -0.08 to 0.32",
    ),
    "a wide interval that lies high": (
        evidence(1.0, half=0.14, base_step_by_step=0.4, word_boost=0.4, bias=0.4, random_behaviour=0.4),
        "when",
        CAN,
    ),
    "intervals so wide that a control might recover a third": (
        evidence(1.0, half=0.14),
        "part explained",
        "Steering recovers more than its controls, and base-step-by-step explains a part, or might",
    ),
    "part of the gap, and no control": (
        evidence(0.62, base_step_by_step=0.42),
        "part",
        "Part of the gap is recovered by steering, and little or none of that by any control: the hybrid recovers 0.44",
    ),
    "part of the gap, of which asking may bring two fifths": (
        evidence(0.62),
        "part explained",
        f"{EXPLAINED.format('base-step-by-step')}0.44 [0.38, 0.50] of the gap with 5.0% of tokens steered, "
        "base-step-by-step 0.10 [0.04, 0.16]",
    ),
    "another behaviour brings more than half of what a part is": (
        evidence(0.63, random_behaviour=0.54, random_positions=0.40),
        "part explained",
        f"{EXPLAINED.format('random-behaviour')}0.46 [0.40, 0.52] of the gap with 5.0% of tokens steered, "
        "random-behaviour 0.28 [0.22, 0.34]",
    ),
    "the timing control brings half of what most is": (
        evidence(0.68, random_positions=0.54),
        "part explained",
        f"{EXPLAINED.format('random-positions')}0.56 [0.50, 0.62] of the gap with 5.0% of tokens steered, "
        "random-positions 0.28 [0.22, 0.34]",
    ),
    "every control and asking bring half of what most is": (
        evidence(0.68, base_step_by_step=0.54, **dict.fromkeys((n.replace("-", "_") for n in PUSHED), 0.54)),
        "part explained",
        "Steering recovers more than its controls, and random-vectors explains a part, or might",
    ),
    "steering everywhere brings half of what most is": (
        evidence(0.68, always_on=0.54),
        "part explained",
        EXPLAINED.format("always-on"),
    ),
    "a control that is better than the base brings a quarter of nearly all": (
        evidence(0.88, half=0.01, random_vectors=0.52),
        "part explained",
        f"{EXPLAINED.format('random-vectors')}0.96 [0.94, 0.98] of the gap with 5.0% of tokens steered, "
        "random-vectors 0.24 [0.22, 0.26]",
    ),
    "a control that is not shown to be better than the base might bring a third of a part": (
        evidence(0.62, base_step_by_step=0.4, random_vectors=0.41, odd={"random-vectors": {"gap_high": 0.14}}),
        "part explained",
        EXPLAINED.format("random-vectors"),
    ),
    "a control that is better than the base and brings next to nothing": (
        evidence(
            0.875,
            base_step_by_step=0.4,
            random_vectors=0.405,
            odd={"random-vectors": {"gain_low": 0.0045, "gap": 0.01, "gap_low": 0.009, "gap_high": 0.02}},
        ),
        "when",
        CAN,
    ),
    "unsure grades of the control decide": (
        evidence(0.7, odd=UNSURE),
        "unsure",
        "Cannot say: unsure grades decide it (30.0% of random-positions)",
    ),
    "unsure grades that decide nothing": (
        evidence(0.9, odd={"random-positions": {"unsure": 0.02}, "hybrid": {"unsure": 0.01}}),
        "when",
        CAN,
    ),
    "the thinking model reaches the chance level": (
        evidence(chance=0.88),
        "chance",
        "Cannot say: thinking is not shown to be above the chance level",
    ),
    "the hybrid reaches the chance level": (
        evidence(0.7, chance=0.7),
        "chance",
        "Cannot say: hybrid is not shown to be above the chance level: it solves 0.70 [0.67, 0.73]",
    ),
    "above the chance level": (evidence(chance=0.5), "when", CAN),
    "responses of the base cut off": (
        evidence(odd={"base": {"truncated": 0.5}}),
        "truncated",
        "Cannot say: responses that were cut off decide it (50.0% of base): “The base can, and is not told when” if",
    ),
    "a prompted base that was cut off": (
        evidence(odd={"base-step-by-step": {"truncated": 0.5}}),
        "truncated",
        "Cannot say: responses that were cut off decide it (50.0% of base-step-by-step)",
    ),
    "responses cut off that decide nothing": (
        evidence(odd={"hybrid": {"truncated": 0.08}, "thinking": {"truncated": 0.1}, "base": {"truncated": 0.02}}),
        "when",
        CAN,
    ),
    "SFT-like pair whose hybrid did not end": (
        evidence(0.455, base_step_by_step=0.42, odd={"hybrid": {"truncated": 0.3}}),
        "truncated",
        "Cannot say: responses that were cut off decide it (30.0% of hybrid): “Steering recovers little",
    ),
    "a base of which fewer responses than the limit were cut off, and more than the gap is wide": (
        with_gap(0.08, evidence(odd={"base": {"truncated": 0.099}})),
        "truncated",
        "Cannot say: responses that were cut off decide it (9.9% of base): “The base can, and is not told when” if",
    ),
    "a hybrid and a base of which just under a tenth was cut off": (
        evidence(0.68, half=0.02, base_step_by_step=0.4, odd={"base": {"truncated": 0.099}}),
        "truncated",
        "Cannot say: responses that were cut off decide it (9.9% of base): “The base can, and is not told when” if",
    ),
    "a control that might have done more, had it not been cut off": (
        evidence(0.68, half=0.02, base_step_by_step=0.4, odd={"random-positions": {"truncated": 0.1}}),
        "truncated",
        "Cannot say: responses that were cut off decide it (10.0% of random-positions)",
    ),
    "a control that was cut off as often as the base": (
        evidence(odd={name: {"truncated": 0.06} for name in ("base", *PUSHED)}),
        "when",
        CAN,
    ),
    "a control that broke the language": (
        evidence(odd={"random-vectors": {"truncated": 0.9}}),
        "broken",
        "Cannot say: the control random-vectors broke the responses: 90.0% of them were cut off, of the base's 0.0%",
    ),
    "every control broke the language": (
        evidence(**{name.replace("-", "_"): 0.0 for name in PUSHED}, odd={name: {"truncated": 0.9} for name in PUSHED}),
        "broken",
        "Cannot say: the control random-vectors broke the responses: 90.0% of them were cut off, of the base's 0.0%",
    ),
    "a control that is not required broke the language": (
        evidence(bias=0.0, odd={"bias": {"truncated": 0.9}}),
        "when",
        CAN,
    ),
    "a control that is worse than the base, and ends": (
        evidence(random_positions=0.3),
        "broken",
        "Cannot say: the control random-positions broke the responses: 0.0% of them were cut off, of the base's 0.0%, "
        "and of all questions it solves -0.10 [-0.13, -0.07] more than the base",
    ),
    "another arm of the same control did not break the language": (
        evidence(random_behaviour=0.0, least_similar=0.4, odd={"random-behaviour": {"truncated": 0.9}}),
        "when",
        CAN,
    ),
    "steering everywhere may break the language": (
        evidence(always_on=0.0, odd={"always-on": {"truncated": 0.9}}),
        "when",
        CAN,
    ),
    "random positions that steer half as often": (
        evidence(odd={"random-positions": {"steered": 0.02, "effective": 0.02}}),
        "rate",
        "Cannot say: the timing control is no match: random-positions steers 2.0% of its tokens with a strength, "
        "gate open at 2.0%, and the hybrid 5.0%, open at 5.0%",
    ),
    "random positions that have a strength nowhere": (
        evidence(odd={"random-positions": {"effective": 0.0}}),
        "rate",
        "Cannot say: the timing control is no match: random-positions steers 0.0% of its tokens with a strength",
    ),
    "a hybrid that has a strength at half of its tokens, and random positions too": (
        evidence(odd={name: {"effective": 0.025} for name in ("hybrid", *PUSHED)}),
        "when",
        CAN,
    ),
    "random vectors that push nowhere": (
        evidence(odd={"random-vectors": {"steered": 0.0, "effective": 0.0}}),
        "rate",
        "Cannot say: the random-vector control is no match: random-vectors steers 0.0% of its tokens with a strength",
    ),
    "any behaviour, with a strength at half of the tokens": (
        evidence(odd={"random-behaviour": {"effective": 0.025}}),
        "rate",
        "Cannot say: the category control is no match: random-behaviour steers 2.5% of its tokens with a strength, "
        "gate open at 5.0%",
    ),
    "random vectors whose gate opens less often": (
        evidence(odd={"random-vectors": {"steered": 0.03, "effective": 0.03}}),
        "when",
        CAN,
    ),
    "a control that is not told apart": (
        evidence(0.9, odd={"random-positions": {"behind_low": -0.01, "gain_low": -0.1}}),
        "not beaten",
        "Cannot say: the hybrid is not shown to be better than random-positions",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_sentence_is_the_one_that_is_right(name: str) -> None:
    case, rule, sentence = CASES[name]
    verdict = verdict_of(case)
    assert (verdict.rule, str(verdict)[: len(sentence)]) == (rule, sentence), str(verdict)
    assert verdict.refutable_by and verdict.figures


def test_every_rule_has_a_case() -> None:
    assert {rule for _, rule, _ in CASES.values()} == {rule.name for rule in RULES}
    assert len(CASES) >= 20


def test_point_estimates_decide_nothing() -> None:
    """The hybrid recovers six tenths in both; whether that is most of the gap is for the lower end to say."""
    assert verdict_of(evidence(0.7, half=0.02, base_step_by_step=0.4)).rule == "when"
    assert verdict_of(evidence(0.7, half=0.06, base_step_by_step=0.4)).rule == "part"


def test_the_strongest_sentence_names_the_controls_that_were_pushed_less_often() -> None:
    less = verdict_of(evidence(odd={"random-vectors": {"steered": 0.03, "effective": 0.03}}))
    assert "; pushed at fewer tokens than the hybrid (tokens steered: random-vectors 3.0%)" in str(less)
    assert "fewer tokens" not in str(verdict_of(evidence()))


def test_a_control_is_broken_by_what_was_measured_and_not_at_a_bound() -> None:
    """Were what the base cut off right, and nothing of what the control cut off, every control would be worse."""
    case = evidence(odd={name: {"truncated": 0.06} for name in ("base", *PUSHED)})
    bound = case.with_more_right({"base": 0.06})
    assert bound.arms["random-vectors"].gain_high < 0 and not bound.is_broken(bound.arms["random-vectors"])


def test_the_strongest_sentence_names_what_was_not_tried() -> None:
    assert "no words to be asked with" not in str(verdict_of(evidence()))
    organism = evidence(without=("base-step-by-step",), has_prompt=False)
    assert "the base has no words to be asked with" in str(verdict_of(organism))


def test_the_bounds_hold_every_combination_and_begin_with_what_was_measured() -> None:
    case = evidence(0.7, odd={"hybrid": {"unsure": 0.1}, "base": {"unsure": 0.05}})
    bounds = list(case.bounds(case.ungraded()))
    assert len(bounds) == 16 and bounds[0] is case
    hybrid_right = case.with_more_right({"hybrid": 0.1}).arms
    assert hybrid_right["hybrid"].accuracy == pytest.approx(0.8)
    assert hybrid_right["hybrid"].gap == pytest.approx((0.8 - 0.4) / 0.5)
    assert hybrid_right["random-positions"].behind == pytest.approx(0.8 - 0.41)
    both = case.with_more_right({"hybrid": 0.1, "base": 0.05}).arms
    assert both["hybrid"].gap == pytest.approx((0.8 - 0.45) / (0.9 - 0.45))
    assert both["thinking"].gap == 1 and both["base"].gap == 0


def test_a_gap_that_is_there_only_if_unsure_grades_are_right_is_undecided() -> None:
    case = no_gap(f"{STEPS}: 0.000", 0.4)
    thinking = replace(case.arms["thinking"], unsure=0.4)
    verdict = verdict_of(replace(case, arms={**case.arms, "thinking": thinking}))
    assert verdict.rule == "unsure" and "There is no gap to recover" in str(verdict)


def test_a_few_responses_that_were_cut_off_make_no_gap() -> None:
    """Nothing is claimed where no gap is shown; were more cut off, it would be undecided whether there is one."""
    case = no_gap(f"{STEPS}: 0.000", 0.4)
    few, many = (replace(case.arms["thinking"], truncated=share, accuracy=0.4) for share in (0.1, 0.3))
    assert verdict_of(replace(case, arms={**case.arms, "thinking": few})).rule == "no gap"
    assert verdict_of(replace(case, arms={**case.arms, "thinking": many})).rule == "truncated"


def test_a_few_responses_that_were_cut_off_do_not_undo_that_a_control_is_as_good() -> None:
    for share, rule in ((0.08, "as good"), (0.3, "truncated")):
        assert verdict_of(evidence(0.85, word_boost=0.85, odd={"hybrid": {"truncated": share}})).rule == rule


def test_a_verdict_is_plain_values_in_json() -> None:
    for case, _, _ in CASES.values():
        row = json.loads(json.dumps(verdict_of(case).to_dict(), allow_nan=False))
        assert set(row) == {"rule", "sentence", "refutable_by", "figures"}


def test_the_best_control_is_the_one_that_recovers_most() -> None:
    best = best_control(evidence(bias=0.6).arms)
    assert best is not None and best.arm == "bias"
    assert best_control({"hybrid": arm_result("hybrid", 0.8)}) is None


def test_figures_that_are_not_known_survive_json() -> None:
    one = arm_result("hybrid", nan, no_gap="none")
    assert one.to_dict()["gap"] is None
    assert ArmResult.from_dict(one.to_dict()).to_dict() == one.to_dict()


def test_the_docs_give_every_threshold_as_the_code_has_it() -> None:
    table = re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", DOCS.read_text("utf-8"), flags=re.M)
    assert {name: float(value) for name, value in table} == asdict(THRESHOLDS)


def test_the_docs_list_every_rule_in_the_order_of_the_code() -> None:
    of_hybrids, _ = DOCS.read_text("utf-8").split("## What an exchange says")
    listed = re.findall(r"^(\d+)\. \*\*([\w ]+)\*\*", of_hybrids, flags=re.M)
    assert listed == [(str(number), rule.name) for number, rule in enumerate(RULES, start=1)]


def test_the_docs_list_every_control_and_its_arms() -> None:
    rows = re.findall(r"^\| ([\w-][\w -]*) \| ((?:`[\w-]+`(?:, )?)+) \|", DOCS.read_text("utf-8"), flags=re.M)
    listed = {name: tuple(re.findall(r"`([\w-]+)`", arms)) for name, arms in rows}
    assert {control.name: control.arms for control in CONTROLS}.items() <= listed.items()
    assert [name for name in listed if name in {control.name for control in CONTROLS}] == [one.name for one in CONTROLS]
