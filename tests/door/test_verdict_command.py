"""`reasonlens verdict`: run within a budget, gone on with, refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reasonlens.cli.app import app
from reasonlens.cli.verdict import Budget

PAIR = ("verdict", "--thinking", "organism/rl-timing", "--max-new-tokens", "6", "--test", "12")


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def test_a_budget_is_spent_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "run"
    code, output, notes = run(*PAIR, "--budget", "0.01s", "--out", out)
    assert code == 0, notes
    assert "planted truth: 0.948" in output and "rl-timing. " in output
    assert "could not be measured: passk: no size of it fits in the budget" in output
    again = "--test 12 --max-new-tokens 6 --budget 1m --out"  # with other options it would be refused
    assert f"next: reasonlens verdict --thinking organism/rl-timing {again}" in notes
    code, output, notes = run(*PAIR, "--budget", "0.01s", "--out", out, "--json")
    assert code == 0 and json.loads(output) == json.loads((out / "results.json").read_text())
    code, _, notes = run(*PAIR, "--budget", "2s", "--seed", "1", "--out", out)
    assert code == 2 and "holds another run" in notes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--budget", "soon"), "'soon' is no time; write 90s, 10m or 2h"),
        (("--budget", "0s"), "a budget is some time"),
        (("--temperature", "0"), "choose a temperature above 0"),
        (("--thinking", "organism/base-timing"), "is a base itself"),
        (("--base", "smollm2-135m", "--thinking", "smollm2-135m"), "need problems to solve"),
    ],
)
def test_what_cannot_be_run_is_refused_in_a_line(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, notes = run("verdict", *arguments)
    assert code == 2 and message in " ".join(notes.replace("│", " ").split()) and "Traceback" not in notes


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5 h", 5400)])
def test_times_are_read_with_their_units(text: str, seconds: float) -> None:
    assert Budget.parse(text) == seconds
