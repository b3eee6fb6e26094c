"""What objects of the pipeline show at the end of a notebook cell: their content, escaped, and not too much of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
import torch

from reasonlens import Span, Trace, collect, collect_moments, mean_difference_directions, sweep
from reasonlens.figures.notebook import N_COLUMNS, N_ROWS, object_html
from reasonlens.models import LanguageModel
from reasonlens.traces.trace_list import TraceList
from reasonlens.vectors import Direction

EVIL = "<script>alert('x')</script>"


@pytest.fixture(scope="module")
def shown(tiny: Callable[..., LanguageModel]) -> dict[str, Any]:
    texts = [f"So {number} is one. Wait, that is wrong. I check it again." for number in range(12)]
    spans = [(0, 12, "deduction"), (13, 33, EVIL)]
    traces = TraceList(
        Trace(
            id=f"t{number}",
            problem=f"p{number}",
            prompt=EVIL,
            text=text,
            spans=tuple(Span(start, end, label) for start, end, label in spans),
        )
        for number, text in enumerate(texts)
    )
    model = tiny("llama")
    activations = collect(model, traces, progress=False)
    directions = mean_difference_directions(activations)
    probes = sweep(activations, n_folds=3, n_bootstrap=10, n_shuffles=1, n_permutations=9, progress=False).probes()
    return {
        "model": model,
        "trace": traces[0],
        "traces": traces,
        "activations": activations,
        "moments": collect_moments(model, traces, progress=False),
        "directions": directions,
        "direction": directions["deduction"],
        "probes": probes,
    }


@pytest.mark.parametrize(
    "name", ["model", "trace", "traces", "activations", "moments", "directions", "direction", "probes"]
)
def test_each_object_shows_what_it_holds_and_no_tag_of_others(shown: dict[str, Any], name: str) -> None:
    html = shown[name]._repr_html_()
    assert "<script" not in html and len(html) < 20_000
    if name != "model":
        assert "deduction" in html
    if name in ("trace", "traces", "activations", "directions"):
        assert "alert(" in html, "the label is there, as text"


def test_numbers_shown_are_those_of_the_object(shown: dict[str, Any]) -> None:
    direction: Direction = shown["direction"]
    assert f"{float(direction.vectors[1].norm()):.3g}" in direction._repr_html_()
    assert "<td>12</td>" in shown["activations"]._repr_html_()
    assert f"{sum(weight.numel() for weight in shown['model'].model.parameters()):,}" in shown["model"]._repr_html_()
    assert "9 more traces" in shown["traces"]._repr_html_()


def test_large_tables_are_cut_and_say_so() -> None:
    frame = pd.DataFrame(torch.arange(100 * 50).reshape(100, 50).tolist())
    html = object_html("x", {"A table": frame})
    assert html.count("<tr>") == N_ROWS + 1 and f"{100 - N_ROWS} rows more" in html
    assert html.count("<th>") == N_ROWS + N_COLUMNS + 1 and "<th>49</th>" in html
