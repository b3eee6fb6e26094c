"""The sentence about probes follows its rules, and so does the reason for a layer."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from reasonlens import ProbeSettings, collect, probe
from reasonlens.probes import ProbeSweep
from reasonlens.probes.explorer import holds_against_shuffles, reason
from reasonlens.stats import Interval
from reasonlens.traces import bundled_traces


@pytest.fixture(scope="module")
def swept(tiny: Any) -> ProbeSweep:
    traces = bundled_traces()[:12]
    quick = ProbeSettings(n_folds=3, n_bootstrap=20, n_shuffles=1, n_permutations=3, penalties=(0.01,))
    return probe(collect(tiny(), traces, progress=False).load(), settings=quick, progress=False).sweep


def standing(sweep: ProbeSweep, *excess: tuple[float, float, float], shuffled: float = 0.55) -> ProbeSweep:
    """The sweep with other figures: excess and lower end, also corrected, of its first behaviours."""
    names = list(sweep.behaviours)[: len(excess)]
    behaviours = {}
    for name, (value, low, corrected) in zip(names, excess, strict=True):
        one = sweep[name]
        compared = replace(one.comparison, excess=Interval(value, low, value + 0.1), corrected_low=corrected)
        behaviours[name] = replace(
            one,
            comparison=compared,
            nested=replace(one.nested, auroc=Interval(0.9, 0.8, 0.95)),
            auroc=[Interval(0.7, 0.65, 0.75), Interval(0.9, 0.86, 0.93), Interval(0.88, 0.84, 0.91)],
            auroc_shuffled=[Interval(0.5, 0.45, shuffled)] * len(one.auroc),
        )
    return replace(sweep, behaviours=behaviours)


def said(sweep: ProbeSweep) -> str:
    (sentence,) = sweep.in_words()
    return sentence


def test_what_is_above_its_baselines_corrected_is_named_with_interval_layer_and_control(swept: ProbeSweep) -> None:
    sentence = said(standing(swept, (0.2, 0.1, 0.05), (0.1, 0.01, -0.02)))
    first, second = list(swept.behaviours)[:2]
    assert sentence.startswith("1 of 2 behaviours can be read from ") and "corrected for all 2" in sentence
    assert f"{first} +0.200 [0.100, 0.300] over" in sentence and "(layer 1)" in sentence and second not in sentence
    assert "with shuffled labels the AUROC at the best layer is 0.550 at most" in sentence


def test_what_is_above_only_uncorrected_says_nothing_about_the_model(swept: ProbeSweep) -> None:
    sentence = said(standing(swept, (0.1, 0.01, -0.02)))
    assert "is shown to be read" in sentence and "nothing is said about the model; nearest is" in sentence


def test_where_shuffled_labels_do_as_well_nothing_can_be_concluded(swept: ProbeSweep) -> None:
    failing = standing(swept, (0.2, 0.1, 0.05), shuffled=0.85)
    assert not holds_against_shuffles(next(iter(failing.behaviours.values())))
    assert said(failing).startswith("Nothing can be concluded about")
    assert "shuffled labels do as well" in said(failing)


def test_without_intervals_nothing_can_be_concluded(swept: ProbeSweep) -> None:
    assert "too few for intervals" in said(standing(swept, (0.2, math.nan, math.nan)))


def test_the_reason_for_a_layer_names_those_that_are_as_good(swept: ProbeSweep) -> None:
    one = next(iter(standing(swept, (0.2, 0.1, 0.05)).behaviours.values()))
    assert reason(one, [3, 4, 5]) == "highest AUROC, 0.900; within its interval also 5"
    alone = replace(one, auroc=[Interval(0.5, 0.4, 0.6), Interval(0.9, 0.86, 0.93), Interval(0.5, 0.4, 0.6)])
    assert reason(alone, [3, 4, 5]).endswith("no other is within its interval")
    alike = replace(one, auroc=[Interval(0.9, 0.5, 0.95)] * 3)
    assert reason(alike, [3, 4, 5]).endswith("within its interval also 4 to 5")


def test_what_a_page_links_are_the_figures_of_the_sweep_and_all_baselines(swept: ProbeSweep) -> None:
    linked = swept.explorer(vectors="vectors.safetensors")
    json.dumps(linked, allow_nan=False)
    for name, one in swept.behaviours.items():
        row = linked["rows"][name]
        assert [cell[0] for cell in row["auroc"]] == [round(auroc.value, 4) for auroc in one.auroc]
        assert set(row["baselines"]) == set(one.comparison.aurocs) and row["strongest"] in row["baselines"]
        assert row["best_layer"] == swept.best_layer(name)
    assert "steer write vectors.safetensors --behaviour BEHAVIOUR --layer LAYER" in linked["commands"]["shell"]
    assert "steer" not in swept.explorer()["commands"]["shell"]
