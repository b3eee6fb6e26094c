"""A run is resumed with a copy of its model, at another path and of other times, and refused with other weights."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner, Result

from reasonlens import Trace, write_traces
from reasonlens.activations.store.store import Store
from reasonlens.cli.app import app
from reasonlens.models import LanguageModel

SETTINGS = {
    "locate": ("--layers", "1", "--folds", "3", "--behaviours", "backtracking"),
    "collect": ("--layers", "1"),
}


@pytest.fixture
def work(tiny: Callable[..., LanguageModel], traces: list[Trace], tmp_path: Path) -> Path:
    model = tiny()
    model.model.save_pretrained(tmp_path / "model")
    model.tokenizer.save_pretrained(tmp_path / "model")
    write_traces(traces, tmp_path / "traces.jsonl")
    return tmp_path


def run(command: str, work: Path, model: str, out: str) -> Result:
    words = [command, "--model", str(work / model), "--traces", str(work / "traces.jsonl"), "--device", "cpu"]
    return CliRunner().invoke(app, [*words, *SETTINGS[command], "--out", str(work / out)])


def stopped(command: str, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a command that is interrupted once its activations are there, but not all it writes."""
    with monkeypatch.context() as patched:
        finish = Store.finish

        def interrupted(store: Store, n_shards: int) -> None:
            if command == "locate":
                finish(store, n_shards)
            raise KeyboardInterrupt

        patched.setattr(Store, "finish", interrupted)
        assert run(command, work, "model", "out").exit_code == 130


def copied(work: Path, name: str, change: float = 0.0) -> None:
    """Copy the model; its files get other times, and one weight may change."""
    shutil.copytree(work / "model", work / name)
    if change:
        weights = load_file(work / name / "model.safetensors")
        next(iter(weights.values())).view(-1)[0] += change
        save_file(weights, work / name / "model.safetensors", metadata={"format": "pt"})
    for number, file in enumerate((work / name).iterdir()):
        os.utime(file, (1_000_000_000 + number, 1_000_000_000 + number))


def results(work: Path, out: str) -> str:
    """What was computed, whatever the model is called."""
    text = (work / out / "results.json").read_text()
    return text.replace(f"{work}/model", "MODEL").replace(f"{work}/copy", "MODEL")


@pytest.mark.parametrize("command", SETTINGS)
def test_a_run_goes_on_with_a_copy_of_its_model(command: str, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped(command, work, monkeypatch)
    (store,) = (path.parent for path in (work / "out").rglob("manifest.json"))
    before = {file.name: file.stat().st_ino for file in store.glob("shard-*")}
    copied(work, "copy")
    shutil.rmtree(work / "model")
    done = run(command, work, "copy", "out")
    assert done.exit_code == 0, done.output
    assert before and {file.name: file.stat().st_ino for file in store.glob("shard-*")} == before, "read once only"
    assert json.loads((work / "out" / "run.json").read_text())["state"] == "done"
    assert run(command, work, "copy", "whole").exit_code == 0
    if command == "locate":
        assert results(work, "out") == results(work, "whole")
    whole = work / "whole" / store.relative_to(work / "out")
    for name in before:
        activations = load_file(store / name)
        for key, tensor in load_file(whole / name).items():
            assert torch.equal(activations[key].nan_to_num(), tensor.nan_to_num()), key


@pytest.mark.parametrize("command", SETTINGS)
def test_a_run_is_refused_with_other_weights(command: str, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped(command, work, monkeypatch)
    files = {file: file.read_bytes() for file in (work / "out").rglob("*") if file.is_file()}
    copied(work, "other", change=0.5)
    done = run(command, work, "other", "out")
    (line,) = done.stderr.strip().splitlines()
    differs = r"content of model [\w:]+ \(.*/model\) there, [\w:]+ \(.*/other\) asked"
    assert done.exit_code == 2 and re.match(
        rf"reasonlens: .*/out holds another run \({differs}\); choose another", line
    )
    assert files == {file: file.read_bytes() for file in (work / "out").rglob("*") if file.is_file()}
