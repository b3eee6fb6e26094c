"""`reasonlens likelihood`, `profile` and `geometry`: run, gone on with, refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reasonlens.cli.app import app

COUNTS = ("--thinking", "organism/rl-timing", "--test", "4", "--samples", "2")


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    ("command", "parts"),
    [
        ("likelihood", ("in top 1", "nats a token", "differs from the thinking model's behaviours")),
        ("profile", ("differ from the base's", "the same, other samples", "organism/base-timing")),
    ],
)
def test_a_pair_is_measured_and_the_same_command_goes_on_where_it_was_cut_off(
    command: str, parts: tuple[str, ...], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    code, output, notes = run(command, *COUNTS, "--out", out)
    assert code == 0, notes
    assert all(part in " ".join(output.split()) for part in parts) and "report.html" in notes
    results = (out / "results.json").read_bytes()
    assert set(json.loads(results)["pairs"]) == {"rl-timing"}
    assert (out / "report.html").is_file() and (out / "table.csv").is_file()
    log = out / "rl-timing" / "responses" / "thinking.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:4]) + lines[4][:30])
    code, _, notes = run(command, *COUNTS, "--out", out)
    assert code == 0, notes
    assert (out / "results.json").read_bytes() == results and log.read_text() == "".join(lines)
    code, _, notes = run(command, *COUNTS, "--temperature", "0.5", "--out", out)
    assert code == 2 and "holds another run" in notes
    code, _, notes = run(command, "--thinking", "organism/rl-skill", *COUNTS[2:], "--out", out)
    assert code == 2 and "holds another run" in notes
    assert (out / "results.json").read_bytes() == results


def test_geometry_measures_some_parts_and_goes_on_with_others(tmp_path: Path) -> None:
    out = tmp_path / "run"
    pair = ("geometry", "--thinking", "organism/rl-timing", "--test", "6", "--folds", "3", "--layers", "0,3")
    code, output, notes = run(*pair, "--parts", "cka,tokens", "--out", out)
    assert code == 0, notes
    words = " ".join(output.split())
    assert "promotes" in words and "have a debiased CKA of" in words and "report.html" in notes
    first = json.loads((out / "results.json").read_bytes())["pairs"]["rl-timing"]
    assert first["similarities"] and not first["overlaps"]
    log = (out / "rl-timing" / "responses" / "base.jsonl").read_bytes()
    code, output, notes = run(*pair, "--parts", "cka,angles", "--json", "--out", out)
    assert code == 0, notes
    second = json.loads(output)["pairs"]["rl-timing"]
    assert second["similarities"] == first["similarities"] and second["overlaps"]
    assert (out / "rl-timing" / "responses" / "base.jsonl").read_bytes() == log
    code, _, notes = run(*pair, "--parts", "cka", "--seed", "1", "--out", out)
    assert code == 2 and "holds another run" in notes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("profile", "--samples", "1"), "needs two responses to each question"),
        (("profile", "--temperature", "0"), "needs two responses to each question"),
        (("likelihood", "--thinking", "organism/base-timing"), "is a base itself"),
        (("likelihood", "--test", "1"), "greater than or equal to 2"),
        (("geometry", "--parts", "angels"), "there is no part 'angels'"),
    ],
)
def test_what_cannot_be_run_is_refused_in_a_line(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, notes = run(*arguments)
    assert code == 2 and message in notes and "Traceback" not in notes
