"""`probe` gives the same of activations in memory, of their files, and of a model that reads the traces first."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from reasonlens import InputError, ProbeSettings, collect, probe
from reasonlens.probes import SavedProbes

QUICK = ProbeSettings(penalties=(0.01,), n_folds=3, n_bootstrap=20, n_shuffles=1, n_permutations=3)


def test_memory_files_and_a_model_give_the_same(tiny, traces, tmp_path: Path) -> None:
    model = tiny()
    activations = collect(model, traces, layers=[1], progress=False)
    activations.save(tmp_path / "traces.safetensors")
    in_memory = probe({"traces": activations}, settings=QUICK, progress=False)
    of_files = probe([tmp_path / "traces.safetensors"], settings=QUICK, progress=False)
    read_first = probe(model=model, traces=traces, layers=[1], settings=QUICK, progress=False)
    assert in_memory.to_dict() == of_files.to_dict() == replace(read_first, injection=()).to_dict()
    assert read_first.injection and not in_memory.injection  # which needs the model
    other = probe(model=model, traces=traces, layers=[2], settings=QUICK, progress=False)
    assert other.to_dict() != in_memory.to_dict()


def test_the_injection_control_is_left_out_on_request_and_said_to_be_missing(
    tiny, traces, caplog: pytest.LogCaptureFixture
) -> None:
    model = tiny()
    activations = collect(model, traces, layers=[1], progress=False)
    off = replace(QUICK, injection=False)
    with caplog.at_level(logging.INFO, "reasonlens"):
        assert not probe(model=model, traces=traces, layers=[1], settings=off, progress=False).injection
        probe(activations, settings=off, progress=False)
        assert "injection" not in caplog.text
        probe(activations, settings=QUICK, progress=False)
    assert caplog.text.count("give no activations but --model and --traces") == 1


def test_a_run_that_is_done_is_read_back(tiny, traces, tmp_path: Path) -> None:
    options = {"model": tiny(), "traces": traces, "layers": [1], "settings": QUICK, "progress": False}
    first = probe(**options, out=tmp_path / "out")
    written = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("*") if file.is_file()}
    again = probe(**options, out=tmp_path / "out")
    assert again.to_dict() == first.to_dict() == probe(**options).to_dict()
    assert written == {file: file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("*") if file.is_file()}
    assert SavedProbes.open(tmp_path / "out" / "probes.safetensors").layers == (1,)
    with pytest.raises(InputError, match="holds another run"):
        probe(**options | {"layers": [2]}, out=tmp_path / "out")


def test_a_run_directory_needs_sources_that_are_files(tiny, traces, tmp_path: Path) -> None:
    activations = collect(tiny(), traces, layers=[1], progress=False)
    with pytest.raises(InputError, match="give the paths"):
        probe({"traces": activations}, settings=QUICK, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
