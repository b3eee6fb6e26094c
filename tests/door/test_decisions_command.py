"""`reasonlens decisions`: run, gone on with, refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reasonlens.cli.app import app

SMALL = (
    *("--thinking", "organism/rl-timing", "--test", "4", "--thresholds-on", "2"),
    *("--budgets", "0.1", "--headline", "0.1", "--max-new-tokens", "8"),
)


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["decisions", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def test_a_pair_is_measured_and_the_same_command_goes_on_where_it_was_cut_off(tmp_path: Path) -> None:
    out = tmp_path / "run"
    code, output, notes = run(*SMALL, "--out", out)
    assert code == 0, notes
    for part in ("excess", "divergence", "early", "positions diverge by less than 0.001", "Gini"):
        assert part in " ".join(output.split())
    assert "report.html" in notes and "next: reasonlens exchange" in notes
    results = (out / "results.json").read_bytes()
    assert (out / "table.csv").is_file() and (out / "report.html").is_file()
    log = out / "rl-timing" / "thinking-alone.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:2]) + lines[2][:30])
    code, output, notes = run(*SMALL, "--out", out, "--json")
    assert code == 0, notes
    assert set(json.loads(output)["pairs"]) == {"rl-timing"}
    assert (out / "results.json").read_bytes() == results and log.read_text() == "".join(lines)
    code, _, notes = run(*SMALL, "--temperature", "0", "--out", out)
    assert code == 2 and "holds another run" in notes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--budgets", "0.04"), "0.08 is none of them"),
        (("--budgets", "0.04,1.5"), "above 0 and below 1"),
        (("--near-zero", "0"), "above 0, not 0.0"),
        (("--thinking", "organism/base-timing"), "is a base itself"),
        (("--thinking", "smollm2-135m"), "give --problems"),
    ],
)
def test_what_cannot_be_run_is_refused_in_a_line(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, notes = run(*arguments)
    assert code == 2 and message in notes and "Traceback" not in notes
    assert not (tmp_path / "runs").exists()
