"""The last line of a notebook cell: every public object says in fewer than 1,000 characters what it is and of what.

The classes are found by inspection: those that the package exports, and those that its functions and the fields,
properties and methods of these classes name. One with a description of its own must be made here, one that is described
field by field (`brief`) is filled with large values, and any other must be small enough to be made without arguments.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import reasonlens
from reasonlens import (
    Activations,
    Collection,
    Endpoint,
    Judge,
    Moments,
    RunList,
    Trace,
    bundled_traces,
    collect,
    encode,
    mean_difference_directions,
    read_traces,
    regrade,
    steer,
    sweep,
    traces_check,
    traces_show,
    write_traces,
)
from reasonlens.figures.labelled import LabelledText
from reasonlens.figures.token_view import TokenChannel, TokenView, ViewedTrace
from reasonlens.figures.tokens import ColouredText
from reasonlens.generation.engines.transformers_ import Texts
from reasonlens.models.sites import Site
from reasonlens.organisms.evaluation import Evaluation
from reasonlens.pairs.hybrid.coefficient import CoefficientNetwork
from reasonlens.rundir import brief
from reasonlens.stats import Interval, RecoveredGap
from reasonlens.traces import TraceList

from ..figures.test_results import MAKERS
from ..pairs.exchange.results import calibration, exchange_result
from ..pairs.hybrid.results import hybrid_result
from ..pairs.test_regrade import published, written
from .floor_plan import modules

LIMIT = 1_000
# There is no more to look at, or torch says it.
SEEN_WHOLE = (Site, Interval, RecoveredGap, ColouredText, LabelledText, CoefficientNetwork)


def all_classes() -> dict[str, type]:
    """Every class that a module of the package defines, by its name."""
    classes = {}
    for module in modules():
        if not module.endswith("__main__") and ".cli" not in module:
            for name, member in vars(importlib.import_module(module)).items():
                if inspect.isclass(member) and member.__module__.startswith("reasonlens"):
                    classes[name] = member
    return classes


def named_in(annotation: object, classes: dict[str, type]) -> Iterator[type]:
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    yield from (classes[name] for name in re.findall(r"[A-Za-z_]\w*", text) if name in classes)


def public_classes() -> set[type]:
    classes, found = all_classes(), set()
    waiting = [getattr(reasonlens, name) for name in reasonlens.__all__]
    while waiting:
        member = waiting.pop()
        if inspect.isfunction(member):
            waiting += named_in(inspect.signature(member).return_annotation, classes)
        if not inspect.isclass(member) or member in found or not member.__module__.startswith("reasonlens"):
            continue
        found.add(member)
        for name, annotation in vars(member).get("__annotations__", {}).items():
            if not name.startswith("_"):
                waiting += named_in(annotation, classes)
        for name, part in vars(member).items():
            function = part.fget if isinstance(part, property) else getattr(part, "__func__", part)
            if not name.startswith("_") and inspect.isfunction(function):
                waiting += named_in(inspect.signature(function).return_annotation, classes)
    kinds = (BaseException,)
    return {one for one in found if not issubclass(one, kinds) and not getattr(one, "_is_protocol", False)}


@pytest.fixture(scope="module")
def objects(tiny, tmp_path_factory: pytest.TempPathFactory) -> dict[type, Any]:
    """One object of every class that describes itself; results are made and measured in tests/figures."""
    from ..conftest import _short_trace

    place, traces = tmp_path_factory.mktemp("reprs"), [_short_trace(number) for number in range(12)]
    model = tiny()
    activations = collect(model, traces, layers=[0, 2], progress=False)
    stored = collect(model, traces, layers=[0, 2], out=place / "acts", progress=False)
    found = mean_difference_directions(activations)
    block = steer(model, found["deduction"], layer=2)
    with steer(model, found["deduction"], layer=2) as steered:
        model.model(torch.tensor([[1, 2, 3]]))
    swept = sweep(activations, n_folds=3, n_bootstrap=10, n_shuffles=1, n_permutations=2, progress=False)
    channel = TokenChannel(measure="m" * 5_000, behaviour="b" * 5_000, layer=3, values=torch.zeros(1).numpy())
    viewed = ViewedTrace(name="n" * 5_000, prompt="p", tokens=("t" * 5_000,), channels=(channel,))
    made = [
        *(model, activations, stored.values, found, found["deduction"], block, steered, swept.probes(), traces[0]),
        *(
            Judge(url="http://localhost/v1", model="m"),
            Endpoint(url="http://localhost/v1"),
            bundled_traces(),
            encode(model, traces)[0],
            Moments.of(activations),
            activations.site,
            Collection({(activations.read, activations.site): activations}, (activations.read,), (activations.site,)),
            swept.tables()["auroc"],
        ),
        *(
            Evaluation(models={}, pairs={}, chance={}),
            next(iter(hybrid_result().pairs.values())),
            next(iter(exchange_result().pairs.values())),
            next(iter(calibration().pairs.values())),
            regrade(written(place, published())),
            traces_check("bundled", progress=False),
            traces_show("bundled"),
            LabelledText(name="a", prompt="p", text="t" * 5_000, labels=[]),
            ColouredText(name="a", prompt="p", text="t" * 5_000, tokens=[], sentences=[], labels=[]),
            channel,
            viewed,
            TokenView(traces=(viewed,), title="t" * 5_000, caption="c"),
            Interval(0.5, 0.4, 0.6, 12),
            RecoveredGap(Interval(0.5, 0.4, 0.6, 12)),
            CoefficientNetwork(2, 4, 1.0),
            RunList(directory="d" * 5_000, runs=()),
            Texts(model),
        ),
    ]
    return {type(one): one for one in made}


def filled(described: type) -> Any:
    """An object of a dataclass, every field of which is large."""
    large = ["x" * 5_000, torch.zeros(900, 70), list(range(9_000)), {f"key {n}": "y" * 90 for n in range(900)}, None]
    one = object.__new__(described)
    for number, field in enumerate(dataclasses.fields(described)):
        object.__setattr__(one, field.name, large[number % len(large)])
    return one


def test_every_public_object_says_what_it_is_in_fewer_than_a_thousand_characters(objects: dict[type, Any]) -> None:
    classes = public_classes()
    assert len(classes) > 70 and {Activations, Trace, TraceList} <= classes  # the control: inspection finds them
    for described in classes:
        if described.__name__ in MAKERS:
            continue
        if vars(described).get("__repr__") is brief:
            line = repr(filled(described))
        elif described in objects:
            line = repr(objects[described])
            assert "look: " in line or described in SEEN_WHOLE, line
        else:
            try:
                line = repr(described())
            except TypeError:
                pytest.fail(f"{described.__name__} needs a __repr__: `brief` of rundir, or its own and an object above")
        assert len(line) < LIMIT, f"{described.__name__}: {line[:200]}"
        assert "\n" not in line or described in SEEN_WHOLE, line
        assert line.startswith(described.__name__), line[:100]


def test_a_line_stays_short_however_many_behaviours_and_however_long_their_names(tiny, traces: list[Trace]) -> None:
    many = [
        replace(trace, spans=tuple(replace(span, label=f"{'long ' * 90}{number}-{place}") for place, span in spans))
        for number, trace in enumerate(traces)
        for spans in [list(enumerate(trace.spans))]
    ]
    activations = collect(tiny(), many, layers=[0], progress=False)
    found = mean_difference_directions(activations)
    for one in (
        activations,
        Moments.of(activations),
        found,
        found[activations.behaviours[0]],
        many[0],
        TraceList(many),
    ):
        assert len(repr(one)) < LIMIT, repr(one)
    assert "and 64 more" in repr(activations) and "layers 0" in repr(activations)


def test_lists_of_traces_are_lists(tmp_path: Path) -> None:
    traces = bundled_traces()
    assert isinstance(traces, list) and len(traces) == len(list(traces)) == 76
    assert traces == list(traces) and traces[:3] == list(traces)[:3]
    assert type(traces[:3]) is TraceList and type(traces + list(traces)) is TraceList and len(traces + traces) == 152
    assert type(traces.copy()) is TraceList and traces[0] in traces
    assert sorted(traces, key=lambda one: one.id)[0] in traces
    assert (
        repr(traces).startswith("TraceList(76 traces of 76 problems, 967 labelled spans: deduction 281, ")
        and len(repr(traces)) < 500
    )
    write_traces(traces, tmp_path / "t.jsonl")
    assert read_traces(tmp_path / "t.jsonl") == traces and type(read_traces(tmp_path / "t.jsonl")) is TraceList
    assert repr(TraceList()).startswith("TraceList(0 traces of 0 problems, 0 labelled spans;")
