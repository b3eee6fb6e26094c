from __future__ import annotations

import json
import shutil
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
import torch

from reasonlens import (
    Activations,
    Directions,
    InputError,
    LocateSettings,
    Span,
    Trace,
    collect,
    load,
    locate,
)
from reasonlens.activations.engine.pooling import pass_over
from reasonlens.analysis._locate import ACTIVATIONS, ARTIFACTS
from reasonlens.models import LanguageModel
from reasonlens.probes import sweep
from reasonlens.stats import Interval

QUICK = LocateSettings(n_folds=3, n_bootstrap=50, n_shuffles=2, n_permutations=9, penalties=(0.01,))
PER_LAYER = {"auroc", "auroc_low", "auroc_high", "auroc_unmarked", "auroc_shuffled", "n_positive", "n_problems"}


def results(out: Path) -> dict:
    return json.loads((out / "results.json").read_text())


def test_a_run_writes_everything_it_names(tiny, traces, tmp_path: Path) -> None:
    found = locate(tiny(), traces, settings=QUICK, out=tmp_path / "run", progress=False)
    assert all((tmp_path / "run" / name).is_file() for name in (*ARTIFACTS, "run.json"))
    written = results(tmp_path / "run")
    assert written == json.loads(json.dumps(found.to_dict()))
    assert set(written["behaviours"]) == {"deduction", "backtracking", "verification"}
    for behaviour in written["behaviours"].values():
        assert behaviour["best_layer"] in (0, 1, 2) and set(behaviour["layers"]) == {"0", "1", "2"}
        assert all(set(layer) >= PER_LAYER for layer in behaviour["layers"].values())
    directions = Directions.open(tmp_path / "run" / "vectors.safetensors")
    assert directions.scores["backtracking"]["auroc"] == [
        layer["auroc"] for layer in written["behaviours"]["backtracking"]["layers"].values()
    ]
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["state"] == "done"
    assert set(run["timings_seconds"]) == {
        *("model", "activations", "probes", "next behaviour", "injection", "directions", "report")
    }


def test_where_no_span_has_a_token_before_it_that_is_skipped_with_a_note_and_the_sweep_is_kept(
    tiny, tmp_path: Path, caplog
) -> None:
    sentences = {"deduction": "So {} plus {} makes more.", "backtracking": "Wait, {} was wrong, not {}."}
    alone = [
        Trace(f"{label}-{number}", "", text, (Span(0, len(text), label),), problem=f"p{number}")
        for number in range(9)
        for label, sentence in sentences.items()
        for text in [sentence.format(number, 7 * number)]
    ]
    with caplog.at_level("INFO", logger="reasonlens"):
        location = locate(tiny(), alone, settings=QUICK, out=tmp_path / "run", progress=False)
    assert location.next_sweep is None and set(location.sweep.behaviours) == set(sentences)
    assert any("not probed at the last token before each span: nothing to read" in line for line in caplog.messages)
    assert set(results(tmp_path / "run")["behaviours"]) == set(sentences)


def test_a_run_cut_off_while_fitting_probes_resumes_and_ends_the_same(
    tiny, traces, tmp_path: Path, monkeypatch, caplog
) -> None:
    settings = replace(QUICK, next_behaviour=False, injection=False)  # both run the model
    whole = locate(tiny(), traces, settings=settings, out=tmp_path / "whole", progress=False)
    module = import_module("reasonlens.analysis._locate")

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "sweep", killed)
    with pytest.raises(KeyboardInterrupt):
        locate(tiny(), traces, settings=settings, out=tmp_path / "cut", progress=False)
    assert (tmp_path / "cut" / ACTIVATIONS).is_dir() and not (tmp_path / "cut" / "results.json").exists()
    monkeypatch.setattr(module, "sweep", sweep)
    model = tiny()
    model.body.register_forward_pre_hook(killed)  # the activations are there: they must not be read again
    with caplog.at_level("INFO", logger="reasonlens"):
        locate(model, traces, settings=settings, out=tmp_path / "cut", progress=False)
    assert any("resuming the activations" in line for line in caplog.messages)
    assert results(tmp_path / "cut") == results(tmp_path / "whole")
    for name in ("vectors.safetensors", "probes.safetensors"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    torch.testing.assert_close(
        Activations.open(tmp_path / "cut" / ACTIVATIONS, read="mean").load().values, whole.activations.values
    )


def test_a_run_that_is_done_is_read_back_and_nothing_is_written_again(tiny, traces, tmp_path: Path) -> None:
    settings = replace(QUICK, next_behaviour=False)
    first = locate(tiny(), traces, settings=settings, out=tmp_path / "run", progress=False)
    times = {file: file.stat().st_mtime_ns for file in (tmp_path / "run").rglob("*") if file.is_file()}
    model = tiny()
    model.body.register_forward_pre_hook(lambda *_: pytest.fail("the model ran"))
    again = locate(model, traces, settings=settings, out=tmp_path / "run", progress=False)
    assert (
        results(tmp_path / "run") == json.loads(json.dumps(again.to_dict())) == json.loads(json.dumps(first.to_dict()))
    )
    torch.testing.assert_close(again.directions["backtracking"].vectors, first.directions["backtracking"].vectors)
    torch.testing.assert_close(again.activations.load().values, first.activations.values)
    assert times == {file: file.stat().st_mtime_ns for file in times}
    shutil.rmtree(tmp_path / "run" / ACTIVATIONS)
    without = locate(model, traces, settings=settings, out=tmp_path / "run", progress=False)
    assert without.to_dict() == again.to_dict()
    with pytest.raises(InputError, match=r"Directions\.open"):
        _ = without.directions


def saved(model: LanguageModel, directory: Path) -> Path:
    model.model.save_pretrained(directory)
    model.tokenizer.save_pretrained(directory)
    return directory


def test_all_passes_are_in_the_number_format_asked_for_and_a_run_in_another_is_refused(
    tiny, traces, tmp_path: Path, monkeypatch
) -> None:
    named = saved(tiny(), tmp_path / "model")
    module = import_module("reasonlens.activations.engine.run")
    formats: list[torch.dtype] = []

    def watched(model: LanguageModel, *arguments: object) -> None:
        formats.append(model.model.dtype)
        pass_over(model, *arguments)

    monkeypatch.setattr(module, "pass_over", watched)
    half = replace(QUICK, dtype="bfloat16")
    found = locate(named, traces, settings=half, out=tmp_path / "run", progress=False)
    assert set(formats) == {torch.bfloat16} and found.injection and found.next_sweep is not None
    assert results(tmp_path / "run")["model"]["dtype"] == found.directions.model["dtype"] == "bfloat16"
    assert json.loads((tmp_path / "run" / "run.json").read_text())["settings"]["dtype"] == "bfloat16"
    for other in (QUICK, replace(QUICK, dtype="float32")):
        with pytest.raises(InputError, match="dtype"):
            locate(named, traces, settings=other, out=tmp_path / "run", progress=False)
    with pytest.raises(InputError, match="has its weights in float32, and dtype asks for bfloat16"):
        locate(tiny(), traces, settings=half, out=tmp_path / "object", progress=False)
    assert not (tmp_path / "object").exists()


def test_activations_of_one_number_format_are_not_resumed_in_another_that_the_device_brings(
    tiny, traces, tmp_path: Path, monkeypatch
) -> None:
    named = saved(tiny(), tmp_path / "model")
    module = import_module("reasonlens.analysis._locate")

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "sweep", killed)
    with pytest.raises(KeyboardInterrupt):
        locate(named, traces, settings=QUICK, out=tmp_path / "run", progress=False)
    monkeypatch.setattr(module, "load", lambda model, **_: load(model, dtype="bfloat16"))  # as on a GPU, with no dtype
    with pytest.raises(InputError, match="dtype"):
        locate(named, traces, settings=QUICK, out=tmp_path / "run", progress=False)


def test_what_comes_next_is_read_at_the_last_token_before_a_span(tiny, traces, tmp_path: Path) -> None:
    found = locate(tiny(), traces, settings=QUICK, out=tmp_path / "run", progress=False)
    assert found.next_sweep is not None and found.next_sweep.read == "before:1"
    assert results(tmp_path / "run")["next_behaviours"] == json.loads(json.dumps(found.next_sweep.behaviour_dicts()))
    before = collect(tiny(), traces, read="before:1", progress=False)
    stored = Activations.open(tmp_path / "run" / ACTIVATIONS, read="before:1")
    torch.testing.assert_close(stored.load().values, before.values)
    assert "Does the model know what comes?" in (tmp_path / "run" / "report.html").read_text()
    itself = locate(tiny(), traces, settings=replace(QUICK, read="before:1"), progress=False)
    assert itself.next_sweep is None and itself.to_dict()["next_behaviours"] is None


def test_bad_input_leaves_no_directory_behind(tiny, traces, tmp_path: Path) -> None:
    long = Trace("long", "", "word " * 2000, (Span(0, 4, "deduction"),))
    few = LocateSettings(n_folds=13)
    opening = [
        replace(trace, prompt="", spans=(replace(trace.spans[0], label="opening"), *trace.spans[1:]))
        for trace in traces
    ]
    opening[0] = replace(opening[0], prompt="A prompt to stand before.")
    for model, data, settings, message in (
        (tiny(), [*traces, long], QUICK, "trace 'long' has .* tokens"),
        (tiny(), traces, few, "too few for 13 folds"),
        (tiny(), traces, LocateSettings(layers="7"), "layer 7 does not exist"),
        (tiny(), traces, LocateSettings(behaviours=("dreaming",)), "no span is labelled 'dreaming'"),
        (tiny(), [Trace("n", "Q", "Text.")], QUICK, "the traces hold no labelled span"),
        (
            tiny(),
            opening,
            replace(QUICK, read="before:1", behaviours=("opening",)),
            "'opening' has 1 spans in 1 problems",
        ),
        ("no/such-model", traces, QUICK, "cannot load the model 'no/such-model'"),
    ):
        with pytest.raises(InputError, match=message):
            locate(model, data, settings=settings, out=tmp_path / "run", progress=False)
        assert not (tmp_path / "run").exists()


def test_other_weights_of_the_same_shape_are_another_run(tiny, traces, tmp_path: Path) -> None:
    model = tiny()
    locate(model, traces, settings=QUICK, out=tmp_path / "held", progress=False)
    changed = tiny()
    with torch.no_grad():
        changed.model.model.layers[1].mlp.down_proj.weight.mul_(1.5)
    assert changed.fingerprint != model.fingerprint
    with pytest.raises(InputError, match=r"holds another run \(content of model"):
        locate(changed, traces, settings=QUICK, out=tmp_path / "held", progress=False)


def test_an_overwritten_model_directory_is_another_run(tiny, traces, tmp_path: Path) -> None:
    model = tiny()
    model.tokenizer.save_pretrained(tmp_path / "model")
    model.model.save_pretrained(tmp_path / "model")
    options = {"settings": QUICK, "out": tmp_path / "run", "device": "cpu", "progress": False}
    locate(tmp_path / "model", traces, **options)
    with torch.no_grad():
        model.model.model.layers[1].mlp.down_proj.weight.mul_(1.5)
    model.model.save_pretrained(tmp_path / "model")
    with pytest.raises(InputError, match=r"holds another run \(content of model"):
        locate(tmp_path / "model", traces, **options)


def test_the_common_layer_has_the_highest_mean_auroc(tiny, traces) -> None:
    found = locate(tiny(), traces, settings=QUICK, progress=False)
    first, *rest = found.sweep.behaviours.values()
    planted = replace(first, auroc=[Interval(0.5), Interval(0.9), Interval(0.6)])
    others = {str(number): replace(other, auroc=[Interval(0.6)] * 3) for number, other in enumerate(rest)}
    assert replace(found, sweep=replace(found.sweep, behaviours={"a": planted} | others)).common_layer == 1


def test_settings_that_make_no_sense_are_refused() -> None:
    assert LocateSettings(layers=range(2, 4)).layers == (2, 3)
    with pytest.raises(InputError, match="seed takes a whole number from 0 to 4294967295, .* not -1"):
        LocateSettings(seed=-1)
    with pytest.raises(InputError, match="n_shuffles takes a whole number of at least 1, .* not 0"):
        LocateSettings(n_shuffles=0)


def test_rows_of_the_table_are_one_for_each_behaviour_and_layer(tiny, traces) -> None:
    settings = replace(QUICK, layers=range(0, 3, 2), behaviours=("backtracking",))
    found = locate(tiny(), traces, settings=settings, progress=False)
    frame = found.to_frame()
    assert frame[["behaviour", "layer"]].values.tolist() == [["backtracking", 0], ["backtracking", 2]]
    assert found.common_layer in (0, 2)


def test_a_label_in_too_few_problems_is_not_probed_and_said(tiny, traces, tmp_path: Path, caplog) -> None:
    odd = [
        replace(trace, spans=(replace(trace.spans[0], label="nonsense"), *trace.spans[1:])) if number < 2 else trace
        for number, trace in enumerate(traces)
    ]
    with caplog.at_level("INFO", logger="reasonlens"):
        found = locate(tiny(), odd, settings=QUICK, out=tmp_path, progress=False)
    assert set(found.sweep.behaviours) == {"deduction", "backtracking", "verification"}
    assert "not probed, in too few problems for 3 folds: nonsense" in caplog.messages
    assert "nonsense" in found.activations.labels, "it still serves as a negative"
    assert (tmp_path / "report.html").is_file()
    with pytest.raises(InputError, match="'nonsense' has 2 spans in 2 problems, too few for 3 folds"):
        locate(tiny(), odd, settings=replace(QUICK, behaviours=("nonsense",)), progress=False)
