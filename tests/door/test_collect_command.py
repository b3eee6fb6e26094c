from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from reasonlens import (
    Activations,
    Directions,
    Moments,
    collect,
    load,
    write_traces,
)
from reasonlens.cli.app import app


@pytest.fixture
def setting(tiny, traces, tmp_path: Path) -> list[str]:
    model = tiny()
    model.model.save_pretrained(tmp_path / "model")
    model.tokenizer.save_pretrained(tmp_path / "model")
    write_traces(traces, tmp_path / "traces.jsonl")
    places = {"--model": tmp_path / "model", "--traces": tmp_path / "traces.jsonl", "--out": tmp_path / "out"}
    return ["collect", "--device", "cpu", *(str(word) for pair in places.items() for word in pair)]


def test_what_is_collected_is_named_and_can_be_opened(setting: list[str], traces, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, [*setting, "--layers", "0,2", "--read", "window:-1:10"])
    assert done.exit_code == 0, done.output
    assert "activations of 72 spans of 12 problems" in done.stdout and "24 backtracking" in done.stdout
    assert "layers 0, 2, d_model 32, read window:-1:10" in done.stdout
    found = Activations.open(tmp_path / "out")
    expected = collect(
        load(tmp_path / "model", device="cpu"), traces, layers=[0, 2], read="window:-1:10", progress=False
    )
    torch.testing.assert_close(found.load().values, expected.values)


def test_the_same_command_goes_on_and_another_is_refused(setting: list[str], tmp_path: Path) -> None:
    assert CliRunner().invoke(app, setting).exit_code == 0
    stamp = (tmp_path / "out" / "shard-00000.safetensors").stat().st_mtime_ns
    assert CliRunner().invoke(app, setting).exit_code == 0
    assert (tmp_path / "out" / "shard-00000.safetensors").stat().st_mtime_ns == stamp
    other = CliRunner().invoke(app, [*setting, "--read", "last"])
    assert other.exit_code == 2 and "holds another run (reads ['mean'] there, ['last'] asked)" in other.stderr
    assert "Traceback" not in other.output


def test_moments_as_json(setting: list[str], tmp_path: Path) -> None:
    done = CliRunner().invoke(app, [*setting, "--keep", "moments", "--covariance", "--json"])
    assert done.exit_code == 0, done.output
    about = json.loads(done.stdout)
    assert about["kind"] == "moments" and about["layers"] == [0, 1, 2] and about["reads"]["mean"]["n_spans"] == 72
    assert about["reads"]["mean"]["labels"] == {"deduction": 24, "backtracking": 24, "verification": 24}
    assert Moments.open(tmp_path / "out").of_label("deduction").covariance().shape == (3, 32, 32)


def test_several_reads_take_one_pass_and_one_is_chosen_where_the_directory_is_opened(
    setting: list[str], tmp_path: Path
) -> None:
    done = CliRunner().invoke(app, [*setting, "--read", "mean", "--read", "before:1", "--layers", "0", "--json"])
    assert done.exit_code == 0, done.output
    assert set(json.loads(done.stdout)["reads"]) == {"mean", "before:1"}
    assert f"probe {tmp_path / 'out'} --read mean --read before:1 --out" in done.stderr
    words = ["directions", str(tmp_path / "out"), "--out", str(tmp_path / "v.safetensors"), "--bootstrap", "0"]
    unchosen = CliRunner().invoke(app, words)
    assert unchosen.exit_code == 2 and "holds the reads mean, before:1: choose one" in unchosen.stderr
    chosen = CliRunner().invoke(app, [*words, "--read", "before:1"])
    assert chosen.exit_code == 0, chosen.output
    assert Directions.open(tmp_path / "v.safetensors").read == "before:1"


def test_half_precision_on_disk(setting: list[str], tmp_path: Path) -> None:
    assert CliRunner().invoke(app, [*setting, "--store-dtype", "float16"]).exit_code == 0
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["description"]["dtype"] == "float16"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--covariance"], "--covariance goes with --keep moments"),
        (["--workers", "2"], "go with --engine ray"),
        (["--layers", "9"], "layer 9 does not exist"),
        (["--layers", "x"], "cannot read layers 'x'"),
        (["--read", "median"], "unknown read 'median'"),
        (["--traces", "none.jsonl"], "cannot read traces from none.jsonl"),
    ],
)
def test_what_is_wrong_is_said_in_a_line_and_leaves_nothing_behind(
    setting: list[str], tmp_path: Path, options: list[str], message: str
) -> None:
    done = CliRunner().invoke(app, [*setting, *options])
    assert done.exit_code == 2 and message in done.stderr and "Traceback" not in done.output
    assert not (tmp_path / "out").exists()
