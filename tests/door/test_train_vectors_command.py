"""`reasonlens train-vectors`: run, read back, a model by the name of its file, refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reasonlens.cli.app import app
from reasonlens.pairs.reward import cosines

ARGUMENTS = (
    *("train-vectors", "--base", "organism/rl-timing", "--layers", "2", "--steps", "1", "--groups", "2"),
    *("--samples", "3", "--pool", "2", "--test", "2", "--random-vectors", "1"),
)


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def test_vectors_are_trained_read_back_and_named_as_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cosines, "N_TRACES", 4)
    out = tmp_path / "v"
    code, output, notes = run(*ARGUMENTS, "--out", out)
    assert code == 0, notes
    assert "base + vectors" in output and "random 1" in output and "beyond format" in output
    assert "report.html" in notes and f"organism/rl-timing+{out / 'vectors.safetensors'}" in notes.replace("\n", "")
    results = json.loads((out / "results.json").read_text())
    assert results["gain"]["n"] == 2 and [row["step"] for row in results["steps"]] == [1]
    assert {path.stem for path in (out / "tables").iterdir()} == {"arms", "training", "cosines"}
    code, output, notes = run(*ARGUMENTS, "--out", out, "--json")
    assert code == 0 and json.loads(output) == results and "done already" in notes
    code, _, notes = run(*ARGUMENTS, "--seed", "1", "--out", out)
    assert code == 2 and "holds another run" in notes


def test_a_base_is_asked_for() -> None:
    code, _, notes = run("train-vectors")
    assert code == 2 and "which model gets vectors? give --base" in notes
