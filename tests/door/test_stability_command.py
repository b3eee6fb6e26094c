from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reasonlens import read_traces, write_traces
from reasonlens.cli.app import app
from reasonlens.organisms import organisms_traces


@pytest.fixture
def given(tmp_path: Path) -> list[str]:
    write_traces(organisms_traces("organism/rl-timing", 12, seed=3, greedy=True), tmp_path / "traces.jsonl")
    places = {"--traces": tmp_path / "traces.jsonl", "--out": tmp_path / "out"}
    return ["stability", "--model", "organism/rl-timing", *(str(word) for pair in places.items() for word in pair)]


def test_what_a_greedy_model_wrote_returns_and_is_kept(given: list[str], tmp_path: Path) -> None:
    options = ["--temperature", "0", "--samples", "1", "--max-boundaries", "40", "--folds", "3", "--layers", "2"]
    done = CliRunner().invoke(app, [*given, *options])
    assert done.exit_code == 0, done.output
    assert "Does the behaviour return?" in done.stdout and "random spans: least, most]" in done.stdout
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert {row["share_stable"] for row in results["summary"]} == {1.0}
    assert results["before_after"] and len(read_traces(tmp_path / "out" / "stable.jsonl")) == 12
    again = CliRunner().invoke(app, [*given, *options, "--json"])
    assert again.exit_code == 0 and json.loads(again.stdout)["summary"] == results["summary"]


def test_a_mistake_is_one_line_and_exit_code_two(given: list[str]) -> None:
    for changed, message in (
        (["--behaviours", "dreaming"], "no span is labelled 'dreaming'"),
        (["--threshold", "2"], "2"),
    ):
        done = CliRunner().invoke(app, [*given, *changed])
        assert done.exit_code == 2 and done.stdout == "" and "Traceback" not in done.stderr
        assert message in [line for line in done.stderr.splitlines() if line.startswith("reasonlens: ")][0]
