"""Arguments of a wrong type or out of range, at every door: one line with the argument, the value and what to give."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from reasonlens import (
    Directions,
    EffectSettings,
    HybridSettings,
    InputError,
    LocateSettings,
    ProbeSettings,
    Question,
    Span,
    Steering,
    collect,
    directions,
    export,
    hybrid,
    import_,
    load,
    locate,
    mean_difference_directions,
    open_problem_set,
    probe,
    read_traces,
    segment,
    steer_sweep,
    sweep,
)

QUICK = {"n_bootstrap": 5, "n_shuffles": 1, "n_permutations": 3, "progress": False}


@pytest.fixture
def parts(tiny, traces) -> SimpleNamespace:
    """A model, traces, their activations, and directions found from these."""
    model = tiny()
    acts = collect(model, traces, progress=False)
    return SimpleNamespace(model=model, traces=traces, acts=acts, directions=mean_difference_directions(acts))


Door = Callable[[SimpleNamespace, Any], object]
# A call, what is given, and a part of the message.


def penalised(parts: Any, value: Any) -> Any:
    return sweep(parts.acts, penalties=value, **QUICK)


def collected(parts: Any, value: Any) -> Any:
    return collect(parts.model, parts.traces, layers=value, progress=False)


def directed(parts: Any, value: Any) -> Any:
    return directions(parts.acts, layers=value, progress=False)


NO_NAMES: tuple[Any, ...] = ("deduction", "", [], {}, 5, [1])
TABLE: dict[str, list[tuple[Door, Any, str]]] = {
    "penalties": [
        *(
            (penalised, value, "penalties")
            for value in ([0], [1e-300], [-1], [np.nan], [np.inf], [], "strong", 5, ["a"], [None], {}, np.zeros((3, 4)))
        ),
        (lambda _, value: ProbeSettings(penalties=value), (0.0,), "penalties"),
        (lambda _, value: LocateSettings(penalties=value), (0.0,), "penalties"),
    ],
    "settings and sizes": [
        *(
            (
                lambda parts, value: locate(parts.model, parts.traces, settings=value, progress=False),
                value,
                "settings takes",
            )
            for value in ({}, {"a": 1}, [], "", np.zeros(3))
        ),
        (lambda parts, value: probe(parts.acts, settings=value, progress=False), {"a": 1}, "settings takes"),
        (lambda _, value: hybrid(None, "organism/rl-timing", settings=value), {}, "settings takes"),
        (lambda _, value: ProbeSettings(n_bootstrap=value), 0, "n_bootstrap"),
        (lambda _, value: ProbeSettings(seed=value), -1, "seed"),
        (lambda parts, value: sweep(parts.acts, n_shuffles=value, progress=False), 0, "n_shuffles"),
        (lambda parts, value: sweep(parts.acts, device=value, progress=False), "cud", "device 'cud'"),
    ],
    "names": [
        *(
            (lambda parts, value: sweep(parts.acts, behaviours=value, **QUICK), value, "behaviours")
            for value in NO_NAMES
        ),
        *((lambda parts, value: directions(parts.acts, behaviours=value), value, "behaviours") for value in NO_NAMES),
        *(
            (lambda parts, value: directions(parts.acts, method=value), value, "there is no way")
            for value in ([], {}, {1})
        ),
        *((lambda parts, value: parts.directions[value], value, "no direction for") for value in ([], {}, "x" * 5_000)),
        *(
            (lambda parts, value: export(parts.directions, "o.gguf", value), value, "no format")
            for value in ([], {}, 1)
        ),
        (lambda _, value: load(value), "organism/base-timin", "Did you mean"),
        (lambda _, value: open_problem_set(value), "gsm8", "Did you mean 'gsm8k'"),
    ],
    "paths and parts": [
        *(
            (lambda parts, value: collect(parts.model, parts.traces, out=value), value, "a path is")
            for value in (5, b"a", "")
        ),
        *(
            (lambda parts, value: export(parts.directions, value, "repeng"), value, "a path is")
            for value in (None, 5, "")
        ),
        *((lambda _, value: import_(value, "repeng"), value, "a path is") for value in (None, 5, b"a")),
        *((lambda _, value: Directions.open(value), value, "a path is") for value in (None, 5, b"a")),
        *((lambda _, value: read_traces(value), value, "a path is") for value in (None, 5, b"a")),
        *((lambda _, value: export(value, "o.gguf", "repeng"), value, "directions takes") for value in (None, {}, 5)),
        *((lambda parts, value: steer_sweep(parts.model, value), value, "directions takes") for value in ("a", None)),
        *((lambda _, value: probe(value, progress=False), value, "activations") for value in ([], {}, 5)),
        (lambda _, value: hybrid(pairs=value), ["a"], "pairs takes a list of Pair"),
        (
            lambda _, value: hybrid(None, "organism/rl-timing", value),
            ["a"],
            "problems takes a list of Question",
        ),
        (
            lambda _, value: hybrid(None, "organism/rl-timing", value),
            5,
            "problems takes a list of Question",
        ),
        (
            lambda parts, value: Steering(direction=parts.directions["deduction"], layers=(1,), absolute=value),
            "no",
            "absolute",
        ),
    ],
    "layers": [
        *((collected, value, "layer") for value in (2, 1.5, [1.0], [True], [None], ["a"], [], {}, object())),
        *((directed, value, "layer") for value in (2, None, [1.0], [True], [], {}, np.array([[1, 2]]), b"1")),
        (lambda parts, value: parts.directions.at("verification", value), True, "a layer is a whole number"),
        (lambda parts, value: parts.directions.at("verification", value), "1", "a layer is a whole number"),
        (lambda parts, value: parts.directions.choose_layers(value), 1.5, "layers takes a list"),
        (lambda parts, value: parts.acts.layer(value), 1.0, "a layer is a whole number"),
        *((lambda _, value: HybridSettings(layers=value), value, "layer") for value in (2, 1.5, [1.0], [True], {})),
        *((lambda _, value: EffectSettings(layers=value), value, "layer") for value in (2, 1.5, [1.0], [True], {})),
    ],
    "spans, questions and sentences": [
        *((lambda _, value: Span(value, 3, "deduction"), value, "start of a span") for value in ("0", 1.0, None, True)),
        *((lambda _, value: Span(0, value, "deduction"), value, "end of a span") for value in ("3", 3.0, None)),
        *((lambda _, value: Span(0, 3, value), value, "label of a span") for value in (None, 5, b"a", ["a"])),
        (lambda _, value: Span(0, 3, "deduction", value), "no", "marked of a span"),
        *((lambda _, value: Question(value, "What?"), value, "problem of a question") for value in (None, 5)),
        *((lambda _, value: Question("p", value), value, "prompt of a question") for value in (None, 5, b"a")),
        *((lambda _, value: Question("p", "What?", value), value, "answer of a question") for value in (5, 1.5, [])),
        *((lambda _, value: segment(value), value, "text takes a text") for value in (None, 5, b"a", ["a"])),
        *((lambda _, value: segment("So it is.", value), value, "min_words") for value in (None, 1.5, "3", -1)),
        *((lambda _, value: HybridSettings(arms=value), value, "arms") for value in ("oracle", 5, [1], [])),
        *((lambda _, value: EffectSettings(behaviours=value), value, "behaviours") for value in NO_NAMES),
    ],
}


@pytest.mark.parametrize("kind", TABLE)
def test_an_argument_of_a_wrong_type_is_one_line_that_names_it(
    kind: str, parts: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for door, value, message in TABLE[kind]:
        with pytest.raises(InputError) as caught:
            door(parts, value)
        line = str(caught.value)
        assert message in line, (value, line)
        assert line.isprintable() and len(line) < 1_000, (value, line)
    assert not list(tmp_path.iterdir()), "a refused call wrote files"


def test_layers_of_any_integer_type_are_stored_and_read_back(parts: SimpleNamespace, tmp_path: Path) -> None:
    for layers in ([0, 1], (1, 0), np.array([0, 1]), torch.tensor([0, 1]), range(2), {0, 1}):
        found = directions(parts.acts, layers=layers, n_resamples=0)
        found.save(tmp_path / "vectors.safetensors")
        assert Directions.open(tmp_path / "vectors.safetensors").layers == found.layers == (0, 1)
        assert "0, 1" in repr(found)
    assert directions(parts.acts, layers=[-1], n_resamples=0).layers == (parts.acts.layers[-1],)


def test_every_penalty_within_the_limits_gives_finite_scores(parts: SimpleNamespace) -> None:
    from reasonlens.probes.solver import METHODS

    for name, method in METHODS.items():
        for penalty in (method.limits[0], method.limits[1]):
            found = sweep(parts.acts, estimator=name, penalties=[penalty], n_folds=3, behaviours=["deduction"], **QUICK)
            assert np.isfinite(found.fitted.scores).all(), (name, penalty)


def test_what_a_terminal_would_obey_is_escaped_and_long_lists_are_cut(parts: SimpleNamespace) -> None:
    odd = {f"\x1b[31m{number}\u202e": torch.ones(1, 4) for number in range(2_000)}
    many = Directions(
        vectors=odd, layers=(0,), method="m", model={}, read="mean", residual_norm=(1.0,), n_examples={}, n_problems=1
    )
    assert repr(many).isprintable() and len(repr(many)) < 1_000
    with pytest.raises(InputError, match="and 1990 more") as caught:
        many["x" * 5_000]
    assert str(caught.value).isprintable() and len(str(caught.value)) < 500
    assert [part.behaviour for part in parts.directions.values()] == list(parts.directions)


def test_spans_take_whole_numbers_of_any_type_and_settings_show_themselves_in_a_line() -> None:
    span = Span(np.int64(1), torch.tensor(4), "deduction")  # type: ignore[arg-type]
    assert (span.start, span.end) == (1, 4) and type(span.start) is type(span.end) is int
    assert HybridSettings(layers=np.array([1, -1])).layers == (1, -1)  # type: ignore[arg-type]
    for settings in (HybridSettings(), EffectSettings(behaviours=["a"] * 300)):  # type: ignore[arg-type]
        assert len(repr(settings)) < 1_000 and "\n" not in repr(settings)
