"""`reasonlens organisms ...` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import reasonlens
from reasonlens.cli.app import app
from reasonlens.organisms import BEHAVIOUR, organisms_traces
from reasonlens.organisms.training import STAGES

RUN = CliRunner()


def test_traces_of_an_organism_are_written_labelled_and_can_be_located(tmp_path: Path) -> None:
    out = tmp_path / "rl.jsonl"
    result = RUN.invoke(app, ["organisms", "traces", "--out", str(out), "--n", "5", "--seed", "1"])
    assert result.exit_code == 0 and "5 traces" in result.output
    traces = reasonlens.read_traces(out)
    assert traces == organisms_traces("organism/rl", 5, seed=1)
    assert {span.label for trace in traces for span in trace.spans} <= {*BEHAVIOUR.values(), "nonsense"}
    encoded = reasonlens.encode(reasonlens.load("organism/base", device="cpu"), traces)
    assert all(span is not None for each in encoded for span in each.spans)


def test_evaluate_prints_the_table_of_every_member_as_json() -> None:
    result = RUN.invoke(app, ["organisms", "evaluate", "--n-problems", "20", "--samples", "0", "--json"])
    assert result.exit_code == 0
    table = json.loads(result.stdout)
    assert set(table) == set(STAGES)
    for row in table.values():
        for figure in row.values():
            assert set(figure) == {"value", "low", "high", "n"}
        assert row["accuracy"]["n"] == 20
    assert "content_kl" in table["rl"] and "share_forced" in table["sft"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "--family", "nowhere"], "there is no model base in nowhere"),
        (
            ["train", "--out", "unused", "--members", "base,rk"],
            "there is no member 'rk' of a family; there are base",
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
