"""Grafts of a pair: planted weights, ends bit for bit, one equals many, and what is concluded by which rule."""

from __future__ import annotations

from dataclasses import replace
from math import nan

import pytest

from reasonlens.pairs.geometry.grafts import GraftContrast, GraftFigures, Grafts, measure_grafts, planned_grafts
from reasonlens.pairs.geometry.words import graft_verdict
from reasonlens.rundir import InputError, RunDirectory, to_row
from reasonlens.stats import Interval

from .made import SETTINGS, pair_of


def grafts_of(pair, settings=SETTINGS) -> Grafts:
    with RunDirectory(None, "geometry") as run:
        return measure_grafts(pair, settings, run, progress=False)


@pytest.fixture(scope="module")
def planted(tiny) -> Grafts:
    return grafts_of(pair_of(tiny))


def test_the_part_that_was_changed_is_the_whole_gap_and_others_are_nothing(planted: Grafts) -> None:
    assert planted.of("base").accuracy.value == 0 and planted.of("thinking").accuracy.value == 1
    assert planted.of("mlp").gap.value == 1 and planted.of("mlp").norm_share == pytest.approx(1)
    for other in ("attention", "embeddings and norms"):
        assert planted.of(other).gap.value == 0 and planted.of(other).norm_share == 0
    assert planted.of("mlp").control.value < 0.5 < planted.of("mlp").above_control.value
    shares = [planted.of(f"block {layer}").norm_share for layer in range(3)]
    assert sum(share**2 for share in shares) == pytest.approx(1)
    assert graft_verdict(planted).rule == "open", "a random model writes no end"
    verdict = graft_verdict(replace(planted, open_share=0.0))
    assert verdict.rule == "one" and "The MLPs alone recover most of the gap, and more" in str(verdict)


def test_attention_that_was_changed_is_told_from_mlps(tiny) -> None:
    planted = grafts_of(pair_of(tiny, "self_attn."), replace(SETTINGS, layers="0"))
    assert planted.of("attention").gap.value == 1 and planted.of("mlp").gap.value == 0
    assert "Attention alone recovers most of the gap" in str(graft_verdict(replace(planted, open_share=0.0)))
    assert {one.name for one in planted.figures if one.kind == "block"} == {"block 0"}


def test_equal_models_have_no_gap_to_carry(tiny) -> None:
    pair = pair_of(tiny)
    grafts = grafts_of(replace(pair, base=pair.thinking))
    assert {one.accuracy.value for one in grafts.figures} == {1.0}
    assert graft_verdict(replace(grafts, open_share=0.0)).rule == "no gap" and grafts.no_gap


def test_a_few_responses_at_a_time_solve_what_many_do(tiny, planted: Grafts) -> None:
    few = grafts_of(pair_of(tiny), replace(SETTINGS, n_rows=3, layers="0"))
    assert len(few.figures) == 6
    for one in few.figures:
        assert to_row(one) == to_row(planted.of(one.name))


def test_every_weight_is_in_one_part_and_every_block_is_grafted(tiny) -> None:
    planned = planned_grafts(tiny("opt"))
    parts = [names for _, kind, names in planned if kind == "part"]
    assert len({name for names in parts for name in names}) == sum(len(names) for names in parts)
    assert [name for name, kind, _ in planned if kind == "block"] == ["block 0", "block 1", "block 2"]


def test_answers_that_cannot_be_graded_are_refused(tiny) -> None:
    with pytest.raises(InputError, match="no answer can be graded"):
        grafts_of(replace(pair_of(tiny), grader=lambda question, response: None))


def figures(name: str, gap: tuple[float, float, float], above: float = 0.1, control: float = -0.1) -> GraftFigures:
    nothing = Interval(nan)
    return GraftFigures(
        name=name,
        kind="part",
        accuracy=Interval(0.5, 0.4, 0.6, 100),
        gain=nothing,
        gap=Interval(*gap, 100),
        control=nothing,
        control_gap=Interval(0.0, control, 0.1, 100),
        above_control=Interval(above + 0.1, above, above + 0.2, 100),
        n_weights=10,
        norm_share=0.5,
    )


def made(attention: GraftFigures, mlp: GraftFigures, low: float, high: float, no_gap: str = "") -> Grafts:
    difference = Interval((low + high) / 2, low, high, 100)
    contrast = GraftContrast(first="attention", second="mlp", difference=difference)
    return Grafts(figures=(attention, mlp), contrasts=(contrast,), no_gap=no_gap, n_controls=1, open_share=0.0)


HALF = (0.55, 0.3, 0.7)
UNSURE, HARM = (-0.02, -0.2, 0.3), (-0.5, -0.8, -0.2)  # the one is not shown to recover anything, the other does harm
MOST, SOME, LITTLE = (0.8, 0.6, 1.0), (0.4, 0.3, 0.45), (0.1, -0.1, 0.2)


def test_where_responses_are_open_nothing_is_concluded() -> None:
    closed = made(figures("attention", MOST), figures("mlp", LITTLE), 0.1, 0.3)
    assert graft_verdict(replace(closed, open_share=0.09)).rule == "one"
    assert graft_verdict(replace(closed, open_share=0.11)).rule == "open"


@pytest.mark.parametrize(
    ("grafts", "rule", "words"),
    [
        (made(figures("attention", MOST), figures("mlp", LITTLE), 0.1, 0.3, "equal"), "no gap", "No gap to carry"),
        (
            made(figures("attention", MOST, control=0.01), figures("mlp", LITTLE), 0.1, 0.3),
            "control",
            "Cannot say: weights moved at random recover",
        ),
        (made(figures("attention", MOST), figures("mlp", LITTLE), 0.1, 0.3), "one", "Attention alone recovers most"),
        (made(figures("attention", MOST), figures("mlp", LITTLE), -0.1, 0.3), "unsure", "Cannot say which"),
        (made(figures("attention", MOST, above=-0.05), figures("mlp", LITTLE), 0.1, 0.3), "unsure", "Cannot say which"),
        (
            made(figures("attention", MOST), figures("mlp", MOST), -0.1, 0.1),
            "several",
            "each of attention and the MLPs",
        ),
        (made(figures("attention", LITTLE), figures("mlp", LITTLE), -0.1, 0.1), "little", "No part recovers more than"),
        (made(figures("attention", LITTLE), figures("mlp", SOME), -0.3, -0.1), "more", "The MLPs recover more than"),
        (made(figures("attention", UNSURE), figures("mlp", HARM), 0.1, 0.3), "no part", "No part recovers most"),
        (made(figures("attention", HALF), figures("mlp", HALF), -0.1, 0.1), "both", "each recover some of the gap"),
        (made(figures("attention", HALF, above=-0.05), figures("mlp", HALF), -0.1, 0.1), "unsure", "Cannot say which"),
        (made(figures("attention", LITTLE), figures("mlp", SOME), -0.3, 0.1), "no part", "No part recovers most"),
    ],
)
def test_the_first_rule_that_applies_gives_the_sentence(grafts: Grafts, rule: str, words: str) -> None:
    verdict = graft_verdict(grafts)
    assert verdict.rule == rule and words in str(verdict)
