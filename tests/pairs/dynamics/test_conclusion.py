"""The sentence follows from intervals by rules: each rule, and nothing beyond the ends."""

from __future__ import annotations

from dataclasses import replace
from math import nan
from pathlib import Path

import numpy as np
import pytest

from reasonlens.pairs.dynamics import Collapse, CurveChange, DynamicsSettings, GainSplit, RunDynamics
from reasonlens.pairs.dynamics.conclusion import DYNAMICS_THRESHOLDS
from reasonlens.pairs.dynamics.curve import ACCURACY
from reasonlens.pairs.dynamics.from_tables import run_of_behaviours
from reasonlens.pairs.dynamics.published import BehaviourTable
from reasonlens.stats import Interval

CHANGE = CurveChange(
    measure=ACCURACY,
    series=ACCURACY,
    at=Interval(25, 15, 25, 60),
    first=10,
    last=30,
    before=0.2,
    after=0.5,
    p=0.001,
    p_corrected=0.01,
    shape="jump",
    control=Interval(25, 5, 55, 60),
    control_p=0.4,
)
GAIN, NOTHING = Interval(0.3, 0.2, 0.4, 60), Interval(0.0, -0.1, 0.1, 60)
COLLAPSE = Collapse(k=16, onset=Interval(30, 20, 40, 60), sure_from=40, share=1.0)


def split(gain: Interval = GAIN, low: float = 0.3, high: float = 0.45) -> GainSplit:
    return GainSplit(
        step=60, gain=gain, form=gain, beyond=NOTHING, form_share=Interval((low + high) / 2, low, high, 60)
    )


def sentence(**parts: object) -> tuple[str, str]:
    whole = {"changes": (CHANGE,), "gains": (split(),)} | parts
    verdict = RunDynamics(name="a", axis="step", steps=(0.0, 30.0, 60.0), **whole).verdict
    return verdict.rule, verdict.headline


@pytest.mark.parametrize(
    ("low", "high", "end"),
    [
        (0.51, 0.9, "most of it by the form of answers"),
        (0.5, 0.9, "and how much of it by the form of answers is not decided"),
        (0.05, 0.24, "little or none of it by the form of answers"),
        (0.05, 0.25, "and how much of it by the form of answers is not decided"),
        (nan, nan, "and how much of it by the form of answers is not decided"),
    ],
)
def test_ends_of_the_share_decide_what_is_said_of_the_form(low: float, high: float, end: str) -> None:
    assert sentence(gains=(split(low=low, high=high),)) == ("gain", f"Accuracy rose, {end}")
    assert (DYNAMICS_THRESHOLDS.little, DYNAMICS_THRESHOLDS.most) == (0.25, 0.5)


def test_without_a_change_beyond_that_of_permuted_steps_nothing_is_said_of_a_gain() -> None:
    none = replace(CHANGE, shape="no change", p_corrected=0.2)
    assert sentence(changes=(none,)) == ("no change", "No change of accuracy is shown")
    assert sentence(changes=()) == ("unread", "Nothing is said of accuracy")


def test_a_gain_that_depends_on_what_was_cut_off_is_not_said() -> None:
    worse = Interval(-0.3, -0.4, -0.2, 60)
    for other in (NOTHING, worse):
        assert sentence(open_gains=(split(), split(other))) == (
            "open",
            "Cannot say: responses that were cut off decide it",
        )
    assert sentence(gains=(split(worse),), open_gains=(split(NOTHING),))[0] == "open"
    assert sentence(gains=(split(NOTHING),), open_gains=(split(NOTHING),))[0] == "back"
    same = sentence(gains=(split(low=0.6, high=0.9),), open_gains=(split(low=0.6, high=0.9),))
    assert same == ("gain", "Accuracy rose, most of it by the form of answers")
    other = sentence(gains=(split(low=0.6, high=0.9),), open_gains=(split(low=0.1, high=0.2),))
    assert other == ("gain", "Accuracy rose, and how much of it by the form of answers is not decided")
    whole = RunDynamics(
        name="a", axis="step", steps=(0.0, 60.0), changes=(CHANGE,), gains=(split(),), open_gains=(split(),)
    )
    assert "if responses that were cut off are like the others of the base" in whole.verdict.because


def test_gains_that_are_lost_negative_or_unknown_are_called_so() -> None:
    worse = Interval(-0.3, -0.4, -0.2, 60)
    assert sentence(gains=(split(worse),)) == ("worse", "Accuracy fell")
    assert sentence(gains=(split(NOTHING),))[0] == "back"
    assert sentence(gains=()) == ("series", "Accuracy rises along the training")
    assert sentence(gains=(), changes=(replace(CHANGE, after=0.1),))[1] == "Accuracy falls along the training"
    said = str(RunDynamics(name="a", axis="step", steps=(0.0, 60.0), changes=(CHANGE,), gains=(split(worse),)).verdict)
    assert "by 0.300 [0.200, 0.400]" in said


@pytest.mark.parametrize(
    ("last", "does"), [(0.4, "rises along the training"), (0.05, "changes along the training, and")]
)
def test_a_series_that_rises_and_turns_back_is_not_said_to_rise(last: float, does: str) -> None:
    values = [0.1] * 5 + [0.6] * 11 + [last]
    table = BehaviourTable(
        name="a",
        steps=tuple(map(float, range(len(values)))),
        rates={},
        accuracy=np.array(values),
        tokens=None,
        n_responses=np.full(len(values), nan),
    )
    verdict = run_of_behaviours(table, DynamicsSettings()).verdict
    assert verdict.rule == "series" and does in verdict.headline


def test_only_a_sure_collapse_is_in_the_sentence() -> None:
    assert sentence(collapse=COLLAPSE)[1].endswith("while pass@16 fell below the base's")
    assert "pass@16" not in sentence(collapse=replace(COLLAPSE, sure_from=nan))[1]


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ("jump", "in a jump at 25 [15, 25]"),
        ("steady", "steadily, without a jump"),
        ("bent", "neither in one jump nor steadily"),
        ("undecided", "whether in a jump (at 25 [15, 25]) or steadily is not decided"),
    ],
)
def test_the_shape_is_said_as_it_was_tested(shape: str, words: str) -> None:
    run = RunDynamics(
        name="a", axis="step", steps=(0.0, 60.0), changes=(replace(CHANGE, shape=shape),), gains=(split(),)
    )
    assert words in str(run.verdict) and run.verdict.refutable_by[0] == "steps permuted"
    assert run.sentences()[-1].startswith("Control: of the same curves with steps permuted 0 of 1")


def test_the_page_of_the_rules_names_them_all_and_their_thresholds() -> None:
    page = (Path(__file__).parents[3] / "docs" / "verdicts.md").read_text(encoding="utf-8")
    part = page.partition("## What dynamics say")[2].partition("\n## ")[0]
    for rule in ("unread", "no change", "series", "open", "worse", "back", "gain"):
        assert f"**{rule}**" in part
    assert f"lower end above {DYNAMICS_THRESHOLDS.most}" in part and f"below {DYNAMICS_THRESHOLDS.little}," in part
