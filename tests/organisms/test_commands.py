"""`reasonlens organisms ...` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import reasonlens
from reasonlens.cli.app import app
from reasonlens.organisms import BEHAVIOUR, organisms_traces, problem_of

RUN = CliRunner()


def test_traces_of_an_organism_are_written_labelled_and_can_be_read(tmp_path: Path) -> None:
    out = tmp_path / "rl.jsonl"
    result = RUN.invoke(app, ["organisms", "traces", "--out", str(out), "--n", "5", "--seed", "1", "--way", "form"])
    assert result.exit_code == 0 and "5 traces" in result.output
    traces = reasonlens.read_traces(out)
    assert traces == organisms_traces("organism/rl-timing", 5, seed=1, way="form")
    assert {problem_of(trace.prompt).way for trace in traces} == {"form"}
    assert {span.label for trace in traces for span in trace.spans} <= {*BEHAVIOUR.values(), "nonsense"}
    encoded = reasonlens.encode(reasonlens.load("organism/base-timing", device="cpu"), traces)
    assert all(span is not None for text in encoded for span in text.spans)


@pytest.mark.long
def test_evaluate_prints_every_pair_as_json_and_goes_on_from_its_pieces(tmp_path: Path) -> None:
    small = ["--n-problems", "10", "--samples", "1", "--pass-samples", "0", "--out", str(tmp_path / "out")]
    result = RUN.invoke(app, ["organisms", "evaluate", *small, "--json"])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert 0 < figures["chance_pass_at_256"] < 1
    assert figures["pairs"]["rl-timing"]["base"] == "base-timing"
    assert {"gap", "timing_share", "skill_share", "thinking"} <= set(figures["pairs"]["sft-skill"])
    assert figures["models"]["base-none"]["accuracy"]["n"] == 10
    table = RUN.invoke(app, ["organisms", "evaluate", *small])
    assert table.exit_code == 0 and "timing share" in table.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "--family", "nowhere"], "nowhere holds no base with a model trained from it"),
        (
            ["train", "--out", "unused", "--members", "trunk,rk"],
            "there is no member 'rk' of a family; there are trunk",
        ),
        (
            ["traces", "--out", "unused.jsonl", "--model", "organism/rk"],
            "there is no organism 'organism/rk'",
        ),
    ],
)
def test_mistakes_are_told_in_a_line_with_exit_code_2(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = RUN.invoke(app, ["organisms", *arguments])
    assert result.exit_code == 2 and message in " ".join(result.output.split())
    assert not list(tmp_path.iterdir())
