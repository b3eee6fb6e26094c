from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reasonlens import collect, write_traces
from reasonlens.cli.app import app
from reasonlens.probes import SavedProbes

QUICK = ["--folds", "3", "--bootstrap", "20", "--shuffles", "1", "--permutations", "3", "--penalties", "0.01"]


@pytest.fixture
def stores(tiny, traces, tmp_path: Path) -> list[str]:
    for name, layers in (("base", [0, 2]), ("thinking", [0, 2])):
        collect(tiny("llama" if name == "base" else "qwen"), traces, layers=layers, out=tmp_path / name, progress=False)
    return [str(tmp_path / "base"), str(tmp_path / "thinking")]


def run(*words: str):
    return CliRunner().invoke(app, ["probe", *words])


def test_a_store_is_probed_and_written_and_again_it_is_done(stores: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = run(stores[0], "--out", str(out), *QUICK)
    assert first.exit_code == 0, first.output
    assert "backtracking" in first.stdout and "24 / 12" in first.stdout
    assert {file.name for file in out.iterdir()} == {
        *("probes.safetensors", "results.json", "table.csv", "tables", "report.html", "run.json")
    }
    assert SavedProbes.open(out / "probes.safetensors").layers == (0, 2)
    results = json.loads((out / "results.json").read_text())
    assert results["transfer"] is None and set(results["behaviours"]["backtracking"]["layers"]) == {"0", "2"}
    again = run(stores[0], "--out", str(out), *QUICK)
    assert again.exit_code == 0 and "done already" in again.stderr and again.stdout == first.stdout
    other = run(stores[0], "--out", str(out), *QUICK, "--seed", "3")
    assert other.exit_code == 2 and "holds another run (seed" in other.stderr


def test_without_activations_a_model_reads_the_traces_first(tiny, traces, tmp_path: Path) -> None:
    tiny().model.save_pretrained(tmp_path / "model")
    tiny().tokenizer.save_pretrained(tmp_path / "model")
    write_traces(traces, tmp_path / "traces.jsonl")
    given = ["--model", str(tmp_path / "model"), "--traces", str(tmp_path / "traces.jsonl"), "--device", "cpu"]
    done = run(*given, "--layers", "1", "--out", str(tmp_path / "out"), *QUICK)
    assert done.exit_code == 0, done.output
    assert "24 / 12" in done.stdout and (tmp_path / "out" / "activations" / "manifest.json").is_file()
    again = run(*given, "--layers", "1", "--out", str(tmp_path / "out"), *QUICK)
    assert again.exit_code == 0 and "done already" in again.stderr and again.stdout == done.stdout
    for changed, message in ((["--layers", "9"], "layer 9 does not exist"), (["--behaviours", "dreaming"], "dreaming")):
        refused = run(*given, "--out", str(tmp_path / "none"), *QUICK, *changed)
        assert refused.exit_code == 2 and message in refused.stderr and not (tmp_path / "none").exists()


def test_two_stores_give_a_transfer_matrix(stores: list[str], tmp_path: Path) -> None:
    done = run(*stores, "--out", str(tmp_path / "out"), *QUICK, "--behaviours", "backtracking", "--json")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["transfer"]
    assert {(row["trained_on"], row["tested_on"]) for row in rows} == {
        (a, b) for a in ("base", "thinking") for b in ("base", "thinking")
    }
    page = (tmp_path / "out" / "report.html").read_text()
    assert 'id="transfer"' in page and "tested on another" in page


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["--estimator", "svm"], "unknown kind of probe 'svm'"),
        (["--penalties", "weak"], "--penalties': 'weak' is not numbers joined by commas"),
        (["--folds", "2"], "at least 3 folds, not 2"),
        (["--behaviours", "dreaming"], "no example shows 'dreaming'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_two(
    stores: list[str], tmp_path: Path, changed: list[str], message: str
) -> None:
    done = run(stores[0], "--out", str(tmp_path / "out"), *QUICK, *changed)
    assert done.exit_code == 2 and done.stdout == "" and "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("reasonlens: ")]
    assert message in line and not (tmp_path / "out").exists()


def test_what_holds_no_activations_is_named(tmp_path: Path) -> None:
    done = run(str(tmp_path / "absent"), "--out", str(tmp_path / "out"))
    assert done.exit_code == 2 and "holds no activations; `reasonlens collect --out" in done.stderr


def test_the_command_that_is_named_next_works_for_an_organism(tmp_path: Path) -> None:
    traces, store = str(tmp_path / "traces.jsonl"), str(tmp_path / "store")
    out = ["--out", str(tmp_path / "out")]
    for words in (
        ["organisms", "traces", "--n", "12", "--out", traces],
        ["collect", "--model", "organism/rl-timing", "--traces", traces, "--layers", "1", "--out", store],
        ["probe", store, *out, *QUICK, "--behaviours", "backtracking"],
    ):
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
    last = done.stderr.splitlines()[-1]
    assert last.startswith("next: reasonlens score ")
    scored = CliRunner().invoke(app, shlex.split(last.removeprefix("next: reasonlens ")))
    assert scored.exit_code == 0 and "backtracking" in scored.stdout, scored.output
