"""`directions` tests its own directions by injected words where model and traces are at hand, and says where not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from reasonlens import Activations, Directions, InputError, collect, collect_moments, directions
from reasonlens.analysis.injected_texts import NEUTRAL
from reasonlens.analysis.injection import inject
from reasonlens.models import LanguageModel
from reasonlens.traces import Trace
from reasonlens.vectors.extraction import METHODS, best_layers
from reasonlens.vectors.formats.safetensors import restrict

from .test_injection import traces_of_words

Tiny = Callable[..., LanguageModel]
QUIET = {"n_resamples": 0, "progress": False}


@pytest.fixture(scope="module")
def words(tiny: Tiny) -> tuple[LanguageModel, list[Trace], Activations]:
    """A model, traces whose backtracking is known by its first word, and the activations of that word."""
    model, traces = tiny("llama"), traces_of_words()
    return model, traces, collect(model, traces, layers=[0, 1], read="first", progress=False)


def test_a_mean_difference_fires_as_often_as_locate_says(
    words: tuple[LanguageModel, list[Trace], Activations],
) -> None:
    model, traces, activations = words
    tested = directions(activations, model=model, traces=traces, **QUIET)
    layer = best_layers(tested)["backtracking"]["layer"]
    expected = [
        rate
        for rate in inject(model, traces, activations, {"backtracking": layer}, progress=False)
        if rate.detector == "direction"
    ]
    rates = [rate for rate in tested.injection if rate.behaviour == "backtracking"]
    assert expected and [rate.to_dict() for rate in rates] == [rate.to_dict() for rate in expected]


@pytest.mark.parametrize("method", METHODS)
def test_a_direction_of_the_first_word_fires_on_it_and_not_on_neutral_words(
    words: tuple[LanguageModel, list[Trace], Activations], method: str
) -> None:
    model, traces, activations = words
    tested = directions(activations, method=method, model=model, traces=traces, behaviours=["backtracking"], **QUIET)
    rates = {(rate.opener, rate.is_read): rate.at_5_percent.value for rate in tested.injection}
    assert {rate.detector for rate in tested.injection} == {"direction"}
    assert rates["Wait,", True] > 0.9
    assert all(rates[neutral, True] < 0.7 for neutral in NEUTRAL)


def test_without_activations_the_model_reads_the_traces_first(
    words: tuple[LanguageModel, list[Trace], Activations],
) -> None:
    model, traces, activations = words
    read_first = directions(model=model, traces=traces, layers=[0, 1], read="first", **QUIET)
    of_activations = directions(activations, model=model, traces=traces, **QUIET)
    assert read_first.injection and read_first.injection == of_activations.injection
    assert read_first["backtracking"].vectors.equal(of_activations["backtracking"].vectors)
    assert not directions(model=model, traces=traces, layers=[0], injection=False, **QUIET).injection


def test_why_nothing_was_injected_is_said_in_one_line(
    tiny: Tiny, traces: list[Trace], caplog: pytest.LogCaptureFixture
) -> None:
    model = tiny()
    acts = collect(model, traces, layers=[0], progress=False)
    before = collect(model, traces, layers=[0], read="before:1", progress=False)
    moments = collect_moments(model, traces, layers=[0], progress=False)
    for source, options, reason in (
        (acts, {}, "it reads new texts; give --model and --traces of the activations"),
        (before, {}, "the read before:1 ends before the span"),
        (before, {"model": model, "traces": traces}, "the read before:1 ends before the span"),
        (moments, {"model": model, "traces": traces, "n_resamples": None}, "collect --keep activations"),
        (acts, {"injection": False}, ""),
    ):
        caplog.clear()
        with caplog.at_level(logging.INFO, "reasonlens"):
            tested = directions(source, **(QUIET | options))
        lines = [line for line in caplog.messages if "no injection control" in line]
        assert not tested.injection and len(lines) == (1 if reason else 0)
        assert all(reason in line and "\n" not in line for line in lines)


def test_words_that_a_model_cannot_read_cost_no_directions(
    words: tuple[LanguageModel, list[Trace], Activations],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise InputError("'Wait,' is no word of this model")

    model, traces, activations = words
    monkeypatch.setattr("reasonlens.analysis._directions.inject", refuse)
    with caplog.at_level(logging.INFO, "reasonlens"):
        tested = directions(activations, model=model, traces=traces, **QUIET)
    assert tested.behaviours and not tested.injection and "is no word of this model" in caplog.text


def test_optimised_vectors_are_tested_on_problems_that_did_not_train_them(tiny: Tiny, traces: list[Trace]) -> None:
    model = tiny()
    options = {"max_steps": 2, "n_folds": 3, "n_random": 1, "bias": True}
    tested = directions(
        method="optimised", model=model, traces=traces, layers=[1], progress=False, where="sentence", **options
    )
    unseen = {*tested.split["stop"], *tested.split["held_out"]}
    assert tested.injection and {rate.behaviour for rate in tested.injection} <= set(tested.behaviours) - {"bias"}
    assert max(rate.n for rate in tested.injection) <= 4 * len(unseen)  # of six spans in each, four show others
    before = directions(method="optimised", model=model, traces=traces, layers=[1], progress=False, **options)
    assert not before.injection  # its read takes no word of a sentence


def test_rates_go_with_the_file_and_with_their_behaviour(
    words: tuple[LanguageModel, list[Trace], Activations], tmp_path: Path
) -> None:
    model, traces, activations = words
    tested = directions(activations, model=model, traces=traces, **QUIET)
    tested.save(tmp_path / "v.safetensors")
    opened = Directions.open(tmp_path / "v.safetensors").injection
    assert [rate.to_dict() for rate in opened] == [rate.to_dict() for rate in tested.injection]
    one = restrict(tested, "backtracking", None)
    assert one.injection == tuple(rate for rate in tested.injection if rate.behaviour == "backtracking")
    assert not restrict(tested, "backtracking", [1 - one.injection[0].layer]).injection


def test_a_model_or_traces_that_do_not_fit_are_named(
    tiny: Tiny, words: tuple[LanguageModel, list[Trace], Activations]
) -> None:
    model, traces, activations = words
    other = [Trace(trace.id, trace.prompt, trace.text.upper(), trace.spans) for trace in traces]
    for options, message in (
        ({"model": model}, "model alone cannot be used: give --traces too"),
        ({"traces": traces}, "traces alone cannot be used: give --model too"),
        ({"model": tiny("gpt2"), "traces": traces}, "the activations are of tiny-llama, and --model is tiny-gpt2"),
        ({"model": model, "traces": other}, "the activations are of other traces: 't0' has no"),
        ({"model": model, "traces": traces, "injection": "no"}, "injection takes True or False, and not 'no'"),
    ):
        with pytest.raises(InputError) as caught:
            directions(activations, **QUIET, **options)
        assert message in str(caught.value)
    with pytest.raises(InputError, match="no way 'magic' to find directions"):
        directions(model=model, traces=traces, method="magic")
