from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from reasonlens import (
    LocateSettings,
    Location,
    Span,
    Trace,
    locate,
)
from reasonlens.analysis.sentences import FOUND, MISSED, MISTAKEN, telling_sentences
from reasonlens.probes.best_layer import best_slot
from reasonlens.stats import Interval
from reasonlens.vectors.extraction import best_layers

EVIL = "<script>alert('x')</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def location(tiny) -> Location:
    """Two labels, one of them hostile, in texts that are hostile too."""
    traces = []
    for number in range(8):
        text = f"One {EVIL} is {number}. Two is not that."
        middle = text.index(" Two")
        label = f"odd</script>{EVIL}"
        traces.append(
            Trace(f"t{number}{EVIL}", f"p{number}", text, (Span(0, middle, label), Span(middle + 1, len(text), "b")))
        )
    found = locate(
        tiny(),
        traces,
        settings=LocateSettings(n_folds=3, n_bootstrap=20, n_shuffles=1, n_permutations=3),
        progress=False,
    )
    # These two labels are told apart perfectly everywhere; figures must be tested on figures that differ.
    values = {"auroc": (0.6, 0.7, 0.9), "auroc_unmarked": (0.51, 0.62, 0.73)}
    values["auroc_band"] = values["auroc"]
    planted = {
        name: replace(
            behaviour,
            **{
                key: [Interval(x, x - 0.1, x + 0.1) for x in row[:: 1 if place == 0 else -1]]
                for key, row in values.items()
            },
        )
        for place, (name, behaviour) in enumerate(found.sweep.behaviours.items())
    }
    scores = np.arange(found.sweep.scores.size, dtype=np.float32).reshape(found.sweep.scores.shape)
    fitted = replace(found.sweep.fitted, scores=scores)
    return replace(found, sweep=replace(found.sweep, behaviours=planted, fitted=fitted))


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.loads: list[str] = []
        self.tags: list[str] = []
        self._script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._script = tag == "script"
        self.loads += [value for name, value in attrs if name in ("src", "href") and value]

    def handle_data(self, data: str) -> None:
        if self._script:
            self.scripts.append(data)
            self._script = False


def test_model_text_and_labels_are_escaped(location: Location) -> None:
    html = location.report()
    page = Page()
    page.feed(html)
    assert "img" not in page.tags
    assert not any(script.strip().startswith("alert") for script in page.scripts)
    assert "&lt;script&gt;alert" in html  # shown as text


def test_the_page_loads_nothing_from_anywhere(location: Location) -> None:
    page = Page()
    page.feed(location.report())
    assert {load for load in page.loads if not load.startswith("#")} == {"vectors.safetensors", "probes.safetensors"}
    html = location.report()
    assert "default-src 'none'" in html and len(html) < 1_000_000
    assert sum(len(script) > 500_000 for script in page.scripts) == 1  # plotly itself, packed


def test_the_page_holds_every_figure_and_every_headline_with_n_and_interval(location: Location) -> None:
    html = location.report()
    for name in ("auroc", "effect_size", "curves", "calibration", "cosine"):
        assert f'id="{name}"' in html
    for behaviour in location.to_dict()["behaviours"].values():
        best = behaviour["layers"][str(behaviour["best_layer"])]
        low, high = best["auroc_low"], best["auroc_high"]
        assert re.search(rf"{best['auroc']:.3f} <span class=\"interval\">\[{low:.3f}, {high:.3f}\]", html)
        assert f"<td>{behaviour['n_positive']} / {behaviour['n_problems']}</td>" in html


def test_figures_say_n_and_draw_chance_and_the_best_layer(location: Location) -> None:
    figures = location.figures()
    assert "n = 16 spans of 8 problems" in figures["auroc"].layout.title.subtitle.text
    rings = figures["auroc"].data[1]
    assert list(rings.x) == [location.sweep.best_layer(name) for name in location.sweep.behaviours] == [2, 0]
    assert list(figures["auroc"].data[0].z[0]) == [
        e.value for e in next(iter(location.sweep.behaviours.values())).auroc
    ]
    assert any(shape.y0 == 0.5 == shape.y1 for shape in figures["curves"].layout.shapes)
    bands = [trace for trace in figures["curves"].data if trace.fill == "toself"]
    assert len(bands) == 3 * len(location.sweep.behaviours)
    lines = {trace.name: list(trace.y) for trace in figures["curves"].data if trace.showlegend and trace.name}
    first = next(iter(location.sweep.behaviours.values()))
    assert lines["all spans"] == [0.6, 0.7, 0.9]
    assert lines["spans without tell-tale words"] == [0.51, 0.62, 0.73]
    assert lines["shuffled labels (control)"] == [each.value for each in first.auroc_shuffled]
    assert lines["strongest baseline, no model"] == [first.comparison.strongest.value] * 2
    assert lines["layer chosen on inner folds"] == [first.nested.auroc.value] * 2
    calibration = figures["calibration"]
    assert "Brier" in calibration.layout.annotations[0].text
    bins = first.nested.calibration
    assert list(calibration.data[1].y) == [each.observed.value for each in bins]
    assert sum(calibration.data[1].customdata) == 16


def test_one_best_layer_is_named_wherever_one_is_named(location: Location) -> None:
    sweep = location.sweep
    effects = [Interval(value, value - 0.1, value + 0.1) for value in (0.2, 9.0, 0.1)]  # largest where no AUROC is
    swept = replace(
        sweep, behaviours={name: replace(one, effect_size=effects) for name, one in sweep.behaviours.items()}
    )
    changed, best = replace(location, sweep=swept), [2, 0]
    for name in ("auroc", "effect_size"):
        assert list(changed.figures()[name].data[1].x) == best, name
        caption = changed.figures()[name].layout.title.subtitle.text
        assert "ringed: best layer (highest cross-validated AUROC)" in caption.replace("<br>", " ")
    results = changed.to_dict()
    assert [row["best_layer"] for row in results["behaviours"].values()] == best
    assert list(swept.probes().best_layers.values()) == best
    assert f"{best[0]}" in repr(changed)
    scores = {name: {"auroc": [one.value for one in swept.behaviours[name].auroc]} for name in swept.behaviours}
    rows = best_layers(replace(location.directions, scores=scores))
    assert [(row["layer"], row["chosen_by"]) for row in rows.values()] == [(layer, "auroc") for layer in best]
    for name, layer in zip(swept.behaviours, best, strict=True):  # the common layer of one behaviour is its best one
        assert replace(swept, behaviours={name: swept.behaviours[name]}).common_layer == layer
    assert best_slot(np.array([[0.6, 0.7, 0.9], [0.9, 0.8, 0.6]])) == 0  # means .75, .75, .75: the first
    assert best_slot(np.array([[0.6, np.nan, 0.7], [np.nan, np.nan, 0.5]])) == 0
    assert best_slot(np.full((1, 3), np.nan)) == 0


def test_sentences_are_those_the_probe_finds_misses_and_mistakes_at_every_layer(location: Location) -> None:
    # Scores rise with the number of the example, and the two labels take turns.
    sentences = telling_sentences(location.sweep, location.activations)
    examples = location.activations.examples
    for index, name in enumerate(location.sweep.behaviours):
        for slot, layer in enumerate(location.sweep.layers):
            cell = sentences["cells"][name][str(layer)]
            scores = location.sweep.scores[index, slot]
            own = [place for place, example in enumerate(examples) if example.label == name]
            others = [place for place, example in enumerate(examples) if example.label != name]
            expected = {FOUND: own[::-1][:3], MISSED: own[:3], MISTAKEN: others[::-1][:3]}
            for kind, places in expected.items():
                spans = [sentences["spans"][number] for number, _ in cell[kind]]
                assert [span["trace"] for span in spans] == [examples[place].trace for place in places]
                assert [span["label"] for span in spans] == [examples[place].label for place in places]
                assert [score for _, score in cell[kind]] == [float(scores[place]) for place in places]
    assert len({(span["text"], span["trace"]) for span in sentences["spans"]}) == len(sentences["spans"])


def test_the_verdict_stands_first_and_names_interval_and_control(location: Location) -> None:
    html = location.report()
    (sentence,) = location.sweep.in_words()
    assert html.index('class="verdict"') < html.index('role="grid"') < html.index('data-name="summary"')
    assert "8 problems are too few for intervals" in sentence  # nothing is claimed without one
