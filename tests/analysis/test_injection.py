"""Tell-tale words before plain sentences make a detector of words fire, and neutral ones do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from reasonlens import Activations, Span, Trace, bundled_traces, collect
from reasonlens.activations import Example, Read
from reasonlens.analysis.injected_texts import NEUTRAL, choose_sentences
from reasonlens.analysis.injection import Detectors, _difference, inject
from reasonlens.models import LanguageModel
from reasonlens.probes.controls.injection_rate import InjectionRate, loudest
from reasonlens.probes.folds import grouped_folds
from reasonlens.stats import Interval
from reasonlens.traces import BEHAVIOURS, is_marked

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
    assert {row["n_openers"] for row in rows.values()} == {2}  # "Wait," and "But wait, no,"
    for row in rows.values():
        assert row["above_plain"] == pytest.approx(row["fires"] - row["fires_plain"])
        assert row["above_plain_low"] > 0.5 and row["fires_plain"] < 0.2 and row["recall"] > 0.9


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


def test_the_same_sentences_without_an_opener_and_the_own_spans_are_counted_at_the_same_thresholds(
    tiny: Callable[..., LanguageModel],
) -> None:
    model, traces = tiny("llama"), traces_of_words()
    activations = collect(model, traces, layers=[1], read="mean", progress=False)
    direction = np.random.default_rng(0).standard_normal(model.d_model)

    def find(_training: Activations, behaviours: Sequence[str], _layer: int) -> Detectors:
        return {name: {"direction": direction} for name in behaviours}

    rates = inject(model, traces, activations, {"backtracking": 1}, find=find, progress=False)
    scores = activations.layer(1).numpy().astype(float) @ direction
    shows = activations.shows("backtracking")
    folds = grouped_folds(activations.labels, activations.problems, ["backtracking"], 5, 0)
    for name, quantile in (("at_1_percent", 0.99), ("at_5_percent", 0.95)):
        above = np.array([np.quantile(scores[(folds == fold) & ~shows], quantile) for fold in folds])
        plain = choose_sentences(activations, "backtracking", 0)
        for rate in rates:
            assert getattr(rate, f"plain_{name}").value == pytest.approx((scores > above)[plain].mean())
            assert getattr(rate, f"recall_{name}").value == pytest.approx((scores > above)[shows].mean())
            difference = getattr(rate, name).value - getattr(rate, f"plain_{name}").value
            assert getattr(rate, f"above_plain_{name}").value == pytest.approx(difference)


def test_a_difference_has_an_interval_also_where_no_sentence_changes_or_all_do() -> None:
    off, problems = np.zeros(20, dtype=bool), np.arange(20)
    for fires, plain, value in ((off, off, 0), (~off, ~off, 0), (~off, off, 1), (off, ~off, -1)):
        interval = _difference(fires, plain, problems)
        assert interval.value == value and interval.low <= value <= interval.high
        assert 0.1 < interval.high - interval.low < 0.4 and -1 <= interval.low and interval.high <= 1
    half = np.arange(20) < 10
    mixed = _difference(half, off, problems)
    assert mixed.value == 0.5 and 0.2 < mixed.low < 0.4 < 0.6 < mixed.high < 0.8


@pytest.mark.parametrize("read", ["window:-1:10", "window:-12:3"])
def test_a_read_that_begins_before_the_sentence_cannot_leave_the_opener_out(
    tiny: Callable[..., LanguageModel], read: str
) -> None:
    model, traces = tiny("llama"), traces_of_words()
    activations = collect(model, traces, layers=[0], read=read, progress=False)

    def find(training: Activations, behaviours: Sequence[str], layer: int) -> Detectors:
        values, shows = training.layer(layer).numpy(), training.shows("backtracking")
        return {name: {"direction": values[shows].mean(axis=0) - values[~shows].mean(axis=0)} for name in behaviours}

    rates = inject(model, traces, activations, {"backtracking": 0}, find=find, progress=False)
    assert rates and all(rate.is_read for rate in rates)
    assert all(row["fires_without"] is None and row["fires_plain"] is not None for row in loudest(rates))


def test_behaviours_share_sentences_that_are_plain_to_each_and_stand_early() -> None:
    examples = tuple(
        Example(trace.id, trace.problem, span.label, span.start, span.end, trace.text_of(span), None)
        for trace in bundled_traces()
        for span in trace.spans
    )
    zeros = torch.zeros(1, len(examples), 1)
    activations = Activations(
        values=zeros.transpose(0, 1),
        embedding_values=None,
        examples=examples,
        layers=(0,),
        read=Read.mean(),
        model={},
        overall_mean=zeros[0, :1],
        residual_norm=zeros[0, :1, 0],
        n_skipped=0,
    )
    rows_of = {behaviour: choose_sentences(activations, behaviour, 0) for behaviour in BEHAVIOURS}
    for behaviour, rows in rows_of.items():
        assert len(rows) == len({examples[row].problem for row in rows}) == 20
        assert not any(examples[row].label == behaviour or is_marked(examples[row].text, behaviour) for row in rows)
    chosen = {row for rows in rows_of.values() for row in rows}
    assert len(chosen) <= 40  # 126 where each behaviour draws its own
    start = np.array([example.start for example in examples])
    assert start[sorted(chosen)].mean() < 0.6 * start.mean()
    assert choose_sentences(activations, "backtracking", 1) != rows_of["backtracking"]
