"""One protocol for all results: tables, figures, plain values and files, and all of it again from JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reasonlens import (
    EffectSettings,
    InputError,
    LocateSettings,
    ProbeSettings,
    ProblemSet,
    Samples,
    SampleSettings,
    Span,
    StabilitySettings,
    Trace,
    collect,
    label,
    locate,
    mean_difference_directions,
    probe,
    sample,
    score,
    stability,
    steer_matrix,
)
from reasonlens.figures import FigureTable, Result
from reasonlens.generation import Sampling
from reasonlens.pairs.records.classes import BY_FORMAT, CLASSES
from reasonlens.traces.questions import Question

from ..analysis.effect.searches import steering_search
from ..analysis.test_score import planted
from ..pairs.decisions.results import decisions_result
from ..pairs.dynamics.results import dynamics_result
from ..pairs.elicit.results import elicit_result
from ..pairs.exchange.results import calibration, exchange_result
from ..pairs.geometry.results import geometry_result
from ..pairs.hybrid.results import hybrid_result, steered_trace
from ..pairs.likelihood.results import likelihood_result
from ..pairs.passk.results import passk_result
from ..pairs.profile.results import profile_result
from ..pairs.records.results import run_comparison
from ..pairs.reward.results import trained_vectors
from ..pairs.verdict.results import verdict_result

EVIL = "<script>alert('x')</script>"
QUICK = {"n_folds": 3, "n_bootstrap": 20, "n_shuffles": 1, "n_permutations": 9, "penalties": (0.01,)}

# Class -> a result of it, of a tiny model on traces with a hostile label. A new result is one more entry.
Maker = Callable[[Any, list[Trace]], Result]
MAKERS: dict[str, Maker] = {
    "Labelling": lambda tiny, traces: label(traces, ["spans", "keywords"], progress=False),
    "Location": lambda tiny, traces: locate(tiny(), traces, settings=LocateSettings(**QUICK), progress=False),
    "ProbeSweep": lambda tiny, traces: _probed(tiny, traces).sweep,
    "Probing": lambda tiny, traces: _probed(tiny, traces),
    "TransferMatrix": lambda tiny, traces: _probed(tiny, traces).transfer,
    "Samples": lambda tiny, traces: _sampled(tiny),
    "Stability": lambda tiny, traces: _stable(tiny, traces),
    "BeforeAfter": lambda tiny, traces: _stable(tiny, traces).before_after,
    "StrengthCurves": lambda tiny, traces: next(iter(_matrix(tiny, traces).cells.values())),
    "SteeringMatrix": lambda tiny, traces: _matrix(tiny, traces),
    "DynamicsResult": lambda tiny, traces: dynamics_result(),
    "ElicitResult": lambda tiny, traces: elicit_result(),
    "DecisionsResult": lambda tiny, traces: decisions_result(),
    "ExchangeResult": lambda tiny, traces: exchange_result(),
    "Calibration": lambda tiny, traces: calibration(),
    "TrainedVectors": lambda tiny, traces: trained_vectors(),
    "GeometryResult": lambda tiny, traces: geometry_result(),
    "HybridResult": lambda tiny, traces: hybrid_result(),
    "LikelihoodResult": lambda tiny, traces: likelihood_result(),
    "SteeringSearch": lambda tiny, traces: steering_search(),
    "PasskResult": lambda tiny, traces: passk_result(),
    "ProfileResult": lambda tiny, traces: profile_result(),
    "RunComparison": lambda tiny, traces: run_comparison(),
    "SteeredTrace": lambda tiny, traces: steered_trace(),
    "VerdictResult": lambda tiny, traces: verdict_result(),
    "TokenScores": lambda tiny, traces: score(tiny(), traces, planted(tiny()), progress=False),
}


def _probed(tiny: Any, traces: list[Trace]) -> Any:
    sources = {name: collect(tiny(name), traces, progress=False).load() for name in ("llama", "qwen")}
    return probe(sources, settings=ProbeSettings(**QUICK), progress=False)


def _sampled(tiny: Any) -> Samples:
    asked = tuple(Question(f"p{number}{EVIL}", f"What is {number} + {EVIL}?", "1") for number in range(2))
    settings = SampleSettings(n_samples=2, max_new_tokens=3)
    return sample(tiny(), ProblemSet(EVIL, asked, lambda *_: True), settings=settings, progress=False)


def _stable(tiny: Any, traces: list[Trace]) -> Any:
    chosen = StabilitySettings(n_samples=2, max_new_tokens=2, n_folds=3, n_bootstrap=20, n_random=2, layers=(0, 2))
    return stability(
        tiny(),
        traces,
        settings=chosen,
        annotator=lambda _, text: [Span(len(text) - 1, len(text), (EVIL, "deduction")[len(text) % 2])],
        progress=False,
    )


def _matrix(tiny: Any, traces: list[Trace]) -> Any:
    models = {name: tiny(name) for name in ("llama", "qwen")}
    directions = {
        name: mean_difference_directions(collect(model, traces, layers=[1], progress=False))
        for name, model in models.items()
    }
    sampling = Sampling(n_samples=1, temperature=0.7, max_new_tokens=3)
    chosen = EffectSettings(strengths=(1.0,), n_random=2, n_problems=2, when="response", sampling=sampling)
    asked = [Question(f"p{number}", f"What is {number} + 1?", str(number + 1)) for number in range(2)]
    return steer_matrix(models, directions, settings=chosen, questions=asked, progress=False)


@pytest.fixture(scope="module")
def hostile() -> list[Trace]:
    """Eight problems with two labels, one of them hostile, in texts that are hostile too."""
    traces = []
    for number in range(8):
        text = f"So {EVIL} is {number}. Two is not that."
        middle = text.index(" Two")
        spans = (Span(0, middle, EVIL), Span(middle + 1, len(text), "deduction"))
        traces.append(Trace(f"t{number}{EVIL}", f"p{number}", text, spans))
    return traces


@pytest.fixture(scope="module", params=sorted(MAKERS))
def result(request: pytest.FixtureRequest, tiny: Any, hostile: list[Trace]) -> Result:
    made = MAKERS[request.param](tiny, hostile)
    assert type(made).__name__ == request.param
    return made


@pytest.fixture(scope="module")
def again(result: Result) -> Result:
    """The result as it is read back from real JSON."""
    return type(result).from_dict(json.loads(json.dumps(result.to_dict(), allow_nan=False)))


def test_a_result_that_runs_write_is_known_to_what_reads_them_back() -> None:
    parts = {"ProbeSweep", "TransferMatrix", "SteeredTrace"}  # of another result, or one problem's
    assert set(MAKERS) - parts <= {one.__name__ for one in CLASSES}
    assert len(BY_FORMAT) == len(CLASSES)


def drawn(figures: Mapping[str, Any]) -> dict[str, str]:
    return {name: figure.to_json() for name, figure in figures.items()}


def test_it_has_every_method_of_the_protocol(result: Result) -> None:
    assert isinstance(result, Result)
    assert not isinstance(result.to_frame(), Result)


def test_figures_are_the_tables_drawn_and_the_first_one_is_among_them(result: Result) -> None:
    figures = drawn(result.figures())
    assert figures and figures == drawn({name: table.draw() for name, table in result.tables().items()})
    assert result.figure().to_json() in figures.values()


def test_read_back_from_json_it_gives_the_same_frame_figures_and_values(result: Result, again: Result) -> None:
    pd.testing.assert_frame_equal(again.to_frame(), result.to_frame())
    assert drawn(again.figures()) == drawn(result.figures())
    assert again.to_dict() == result.to_dict()
    assert again._repr_html_() == result._repr_html_() and repr(again) == repr(result)


def test_other_numbers_would_be_noticed(result: Result) -> None:
    """The control: other numbers in the JSON give another frame and other figures."""
    content = _raised(json.loads(json.dumps(result.to_dict())))
    if "boundaries" in content:  # whose shares are counted anew
        for boundary in content["boundaries"]:
            boundary["found"][0] = None if boundary["found"][0] == boundary["label"] else boundary["label"]
        content["settings"]["threshold"] = 0.5
    for sampled in content.get("samples", ()):  # of which all shares are counted anew
        sampled["grade"] = "wrong"
    other = type(result).from_dict(content)
    with pytest.raises(AssertionError):
        pd.testing.assert_frame_equal(other.to_frame(), result.to_frame())
    assert drawn(other.figures()) != drawn(result.figures())


LOOKED_UP_BY = ("strength", "strengths", "settings")


def _raised(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: value if name in LOOKED_UP_BY else _raised(value) for name, value in content.items()}
    if isinstance(content, list):
        return [_raised(value) for value in content]
    return content + 0.25 if isinstance(content, float) else content


def test_what_is_written_can_be_read_and_drawn_again(result: Result, tmp_path: Path) -> None:
    result.write(tmp_path / "out")
    result.write(tmp_path / "out")  # and again over the same files
    content = json.loads((tmp_path / "out" / "results.json").read_text("utf-8"))
    assert content == json.loads(json.dumps(result.to_dict())) and content["format"].startswith("reasonlens.")
    assert len(pd.read_csv(tmp_path / "out" / "table.csv")) == len(result.to_frame())
    saved = {
        path.stem: FigureTable.from_dict(json.loads(path.read_text("utf-8")))
        for path in (tmp_path / "out" / "tables").iterdir()
    }
    assert drawn({name: table.draw() for name, table in saved.items()}) == drawn(result.figures())
    assert not list((tmp_path / "out").rglob("*.tmp"))


def test_read_back_it_writes_the_same_files_without_the_heavy_ones(
    result: Result, again: Result, tmp_path: Path
) -> None:
    result.write(tmp_path / "first")
    again.write(tmp_path / "second")
    heavy = {path.name for kind in ("*.safetensors", "*.jsonl") for path in (tmp_path / "first").glob(kind)}
    written = {path.relative_to(tmp_path / "second") for path in (tmp_path / "second").rglob("*") if path.is_file()}
    assert {str(path) for path in written} | heavy == {
        str(path.relative_to(tmp_path / "first")) for path in (tmp_path / "first").rglob("*") if path.is_file()
    }
    for path in written:
        assert (tmp_path / "second" / path).read_bytes() == (tmp_path / "first" / path).read_bytes(), path


def test_pages_and_notebooks_escape_what_labels_and_models_say(result: Result, tmp_path: Path) -> None:
    result.write(tmp_path)
    for html in (result._repr_html_(), (tmp_path / "report.html").read_text("utf-8")):
        assert EVIL not in html
    assert "&lt;script&gt;alert" in (tmp_path / "report.html").read_text("utf-8")


def test_a_line_says_the_headline(result: Result) -> None:
    assert repr(result).startswith(f"{type(result).__name__}(") and len(repr(result)) < 400
    assert "\n" not in repr(result) and "array(" not in repr(result)


@pytest.mark.parametrize("content", [{}, {"format": "reasonlens.other/1"}, []])
def test_plain_values_of_another_kind_are_refused(result: Result, content: Any) -> None:
    with pytest.raises(InputError, match="this is no reasonlens.*/.*, its format is"):
        type(result).from_dict(content)


def test_plain_values_of_other_shapes_are_refused_in_one_line(result: Result) -> None:
    sound = json.loads(json.dumps(result.to_dict()))
    type(result).from_dict(sound)
    for name in sound:
        for odd in (None, [], {}, "x", 7, [None], {"x": None}, [[]]):
            try:
                again = type(result).from_dict(sound | {name: odd})
            except InputError as error:
                assert "this is no" in str(error) and "\n" not in str(error)
            else:
                assert again is not None
        with suppress(InputError):
            type(result).from_dict({key: value for key, value in sound.items() if key != name})


def test_what_json_does_not_hold_is_said_with_the_file_that_does(tiny: Any, hostile: list[Trace]) -> None:
    found = MAKERS["Location"](tiny, hostile)
    again = type(found).from_dict(found.to_dict())
    with pytest.raises(InputError, match="open vectors.safetensors beside it with Directions.open"):
        _ = again.directions
    with pytest.raises(InputError, match="open activations beside it with Activations.open"):
        _ = again.activations
    with pytest.raises(InputError, match="open probes.safetensors beside it with SavedProbes.open"):
        again.sweep.probes()
    assert found.directions is found.measured.directions and replace(found, measured=None).to_dict() == found.to_dict()
