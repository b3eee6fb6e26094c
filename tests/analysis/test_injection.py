"""Tell-tale words before plain sentences make a detector of words fire, and neutral ones do not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reasonlens import Span, Trace, collect
from reasonlens.analysis.injection import NEUTRAL, inject
from reasonlens.models import LanguageModel
from reasonlens.probes.controls.injection_rate import InjectionRate, loudest
from reasonlens.stats import Interval

SENTENCES = (
    "the pile of stones is high",
    "every bird sits on its nest",
    "all boxes stand in a row",
    "the road is long",
)


def traces_of_words(n: int = 15) -> list[Trace]:
    """Traces whose backtracking begins with "Wait," and nothing else tells it; others may begin with a neutral word."""
    traces = []
    for number in range(n):
        spans, text = [], ""
        for place in range(6):
            plain = SENTENCES[(number + place) % len(SENTENCES)]
            shows = place % 2 == 1
            begin = "Wait, " if shows else ("", "Here, ", "Meanwhile, ")[(number + place // 2) % 3]
            sentence = f"{begin}{plain}."
            start = len(text) + bool(text)
            text = f"{text} {sentence}" if text else sentence
            spans.append(Span(start, len(text), "backtracking" if shows else "other"))
        traces.append(Trace(f"t{number}", f"Problem {number}?", text, tuple(spans)))
    return traces


@pytest.fixture(scope="module")
def rates(tiny: Callable[..., LanguageModel]) -> list[InjectionRate]:
    model, traces = tiny("llama"), traces_of_words()
    activations = collect(model, traces, read="first", progress=False)
    return inject(model, traces, activations, {"backtracking": 1}, progress=False)


def test_a_detector_of_the_first_word_fires_on_the_opener_alone(rates: list[InjectionRate]) -> None:
    for detector in ("probe", "direction"):
        by_opener = {(r.opener, r.is_read): r.at_5_percent.value for r in rates if r.detector == detector}
        assert by_opener["Wait,", True] > 0.9
        assert by_opener["Wait,", False] < 0.7
        assert all(
            by_opener[neutral, True] < 0.7 for neutral in NEUTRAL
        )  # words that it has not seen, in a random model
    assert {rate.n for rate in rates} == {20} and {rate.layer for rate in rates} == {1}
    assert all(rate.at_1_percent.value <= rate.at_5_percent.value for rate in rates)


def test_the_loudest_openers_are_named_with_what_nothing_does(rates: list[InjectionRate]) -> None:
    rows = {row["detector"]: row for row in loudest(rates)}
    assert set(rows) == {"probe", "direction"}
    assert rows["probe"]["opener"] == "Wait," and rows["probe"]["neutral"] in NEUTRAL
    assert rows["probe"]["fires"] > rows["probe"]["fires_without"]


def test_rates_come_back_from_json(rates: list[InjectionRate]) -> None:
    assert [InjectionRate.from_dict(rate.to_dict()).to_dict() for rate in rates] == [rate.to_dict() for rate in rates]
    assert isinstance(InjectionRate.from_dict(rates[0].to_dict()).at_5_percent, Interval)


def test_nothing_is_put_before_a_read_that_ends_before_its_span(tiny: Callable[..., LanguageModel]) -> None:
    model, traces = tiny("llama"), traces_of_words()
    activations = collect(model, traces, read="before:1", progress=False)
    assert inject(model, traces, activations, {"backtracking": 1}, progress=False) == []


def test_a_behaviour_without_a_list_is_tried_with_the_words_that_begin_its_spans(
    tiny: Callable[..., LanguageModel],
) -> None:
    traces = [
        Trace(
            t.id,
            t.prompt,
            t.text,
            tuple(Span(s.start, s.end, s.label.replace("backtracking", "doubt")) for s in t.spans),
        )
        for t in traces_of_words()
    ]
    model = tiny("llama")
    activations = collect(model, traces, read="mean", progress=False)
    rates = inject(model, traces, activations, {"doubt": 0}, progress=False)
    assert {rate.opener for rate in rates if rate.is_telltale} == {"Wait,"}
