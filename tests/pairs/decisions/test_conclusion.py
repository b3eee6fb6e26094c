"""Every sentence by figures made by hand: what it needs, and what refutes it."""

from __future__ import annotations

import re
from dataclasses import replace
from math import nan
from pathlib import Path

import pytest

from reasonlens.pairs.decisions import conclusion
from reasonlens.pairs.decisions.choosers import CONTROLS
from reasonlens.pairs.decisions.conclusion import LITTLE, MOST, RATE, Standing, conclusion_of, standings
from reasonlens.stats import Interval
from tests.door.floor_plan import ROOT

from .made import answers


def near(value: float, half: float = 0.1) -> Interval:
    return Interval(value, value - half, value + half, 100)


SOUND = Standing(
    gap=near(0.4),
    share=near(0.7),
    controls=dict.fromkeys(CONTROLS, near(0.05)),
    excess=dict.fromkeys(CONTROLS, near(0.65)),
    swapped=0.04,
    changed=dict.fromkeys(("divergence", *CONTROLS), 0.03),
)
WEAK = near(-0.05)
UNKNOWN = Interval(nan, nan, nan, 100)


@pytest.mark.parametrize(
    ("changes", "rule", "headline"),
    [
        ({}, "most", "Swapping 4.0% of the tokens recovers most of the gap, and more than changing as many"),
        ({"share": near(0.55)}, "part", "recovers a part of the gap, and more than"),
        ({"gap": near(0.0), "share": UNKNOWN}, "no gap", "No gap is shown that swaps could explain"),
        ({"gap": near(-0.4), "share": UNKNOWN}, "no gap", "The thinking model is worse than its base"),
        ({"share": near(-0.3)}, "worse", "makes the base worse"),
        ({"share": near(0.12)}, "little", "recover little of the gap"),
        ({"share": near(0.2, 0.3)}, "interval", "from -0.10 to 0.50 of the gap"),
        (
            {"controls": SOUND.controls | {"early": near(0.6)}, "excess": SOUND.excess | {"early": near(0.1)}},
            "as good",
            "the first positions may do as well",
        ),
        ({"excess": SOUND.excess | {"entropy": WEAK}}, "not beaten", "more than where the base is least sure"),
        (
            {"controls": {"random": near(0.05)}, "excess": {"random": near(0.65)}},
            "missing",
            "no control early was run",
        ),
        ({"changed": SOUND.changed | {"random": 0.02}}, "rate", "random changes 2.0% of the tokens and is no match"),
    ],
)
def test_the_first_rule_that_applies_gives_the_sentence(changes: dict[str, object], rule: str, headline: str) -> None:
    verdict = conclusion_of("base", 0.04, [replace(SOUND, **changes)])  # type: ignore[arg-type]
    assert verdict.rule == rule and headline in verdict.headline
    if rule == "most":
        assert set(verdict.refutable_by) == set(CONTROLS) and len(verdict.figures) == 1 + len(CONTROLS)
        assert "0.700 [0.600, 0.800] of the gap is recovered" in str(verdict) and "random positions 0.050" in str(
            verdict
        )


def test_the_page_lists_the_rules_in_their_order_with_the_thresholds_of_the_code() -> None:
    page = (ROOT / "docs" / "verdicts.md").read_text("utf-8")
    section = re.split(r"^## ", page, flags=re.M)
    (rules,) = [part for part in section if part.startswith("What swapped tokens say")]
    named = [
        name for line in re.findall(r"^\d+\. (.*)$", rules, flags=re.M) for name in re.findall(r"\*\*(.+?)\*\*", line)
    ]
    source = Path(conclusion.__file__).read_text("utf-8")
    assert named == list(dict.fromkeys(["open", *re.findall(r'conclude\(\s*"([a-z ]+)"', source), "most", "part"]))
    for threshold in (LITTLE, MOST, RATE):
        assert f"{threshold:g}" in rules


def test_the_other_way_the_gap_is_lost() -> None:
    verdict = conclusion_of("thinking", 0.04, [SOUND])
    assert verdict.headline.startswith("Swapping 4.0% of the tokens loses most of the gap")
    assert (
        "is lost with the base's token at 4.0% of the tokens where the two diverge most, which changes 3.0%"
        in verdict.because
    )
    assert "helps the thinking model" in conclusion_of("thinking", 0.04, [replace(SOUND, share=near(-0.3))]).headline
    assert "cost little" in conclusion_of("thinking", 0.04, [replace(SOUND, share=near(0.1))]).headline


def test_a_sentence_that_depends_on_open_responses_is_not_said() -> None:
    other = replace(SOUND, share=near(0.3))
    verdict = conclusion_of("base", 0.04, [SOUND, SOUND, other])
    assert verdict.rule == "open" and "most as measured, part if" in verdict.because
    assert conclusion_of("base", 0.04, [SOUND, replace(SOUND, share=near(0.8))]).rule == "most"


def test_open_responses_are_counted_all_ways() -> None:
    problems = [f"p{number}" for number in range(20)]
    base, thinking = answers([1, 0, 0, 0] * 5), answers([1, 1, 1, 0] * 5)
    arms = {"divergence": answers([1, 1, 0, 0] * 5, n_swapped=1), "random": answers([1, 0, 0, 0] * 5, n_swapped=1)}
    (measured,) = standings("base", arms, base, thinking, problems)
    assert measured.gap.value == pytest.approx(0.5) and measured.share.value == pytest.approx(0.5)
    assert measured.controls["random"].value == 0 and measured.excess["random"].value == pytest.approx(0.5)
    cut_off = answers([1, 0, 0, 0] * 5, is_truncated=True)
    every = standings("base", arms, cut_off, thinking, problems)
    assert len(every) == 16 and every[0].gap.value == pytest.approx(0.5)
    assert min(one.gap.value for one in every) == pytest.approx(-0.25)
    lost = standings("thinking", arms, base, thinking, problems)[0]
    assert lost.share.value == pytest.approx(0.5) and lost.controls["random"].value == pytest.approx(1)
    assert lost.excess["random"].value == pytest.approx(-0.5)
