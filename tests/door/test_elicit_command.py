"""`reasonlens elicit`: run, gone on with, read back, refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reasonlens.cli.app import app

ARGUMENTS = (
    *("elicit", "--thinking", "organism/rl-timing", "--arms", "thinking", "--test", "3", "--samples", "2"),
    *("--wordings", "2", "--reworded", "2", "--off-task", "2"),
)


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def test_arms_are_compared_and_the_same_command_goes_on_where_it_was_cut_off(tmp_path: Path) -> None:
    out = tmp_path / "run"
    code, output, notes = run(*ARGUMENTS, "--out", out)
    assert code == 0, notes
    text = " ".join(output.split())
    assert "excess" in text and "spread over wordings" in text and "cannot be concluded" in text
    assert "report.html" in notes and "next: reasonlens exchange" in notes
    results = (out / "results.json").read_bytes()
    log = out / "answers.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:4]) + lines[4][:30])
    code, output, notes = run(*ARGUMENTS, "--out", out, "--json")
    assert code == 0, notes
    assert (out / "results.json").read_bytes() == results and json.loads(output) == json.loads(results)
    code, _, notes = run(*ARGUMENTS, "--seed", "1", "--out", out)
    assert code == 2 and "holds another run" in notes
    assert (out / "results.json").read_bytes() == results


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--arms", "cognitive-tools"), "the arm cognitive-tools cannot run: the language of"),
        (("--arms", "hybryd"), "there is no arm 'hybryd'"),
        (("--arms", "reward-vectors"), "give vectors that `train-vectors` wrote"),
        (("--problems", "gsm8k"), "which model is to do better?"),
        (("--base", "smollm2-135m"), "needs problems to solve"),
        (("--steer-with", "nowhere.safetensors"), "nowhere.safetensors"),
    ],
)
def test_what_cannot_be_run_is_refused_in_a_line(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, notes = run("elicit", "--test", "2", "--train", "1", "--validation", "2", *arguments)
    assert code == 2 and message in notes and "Traceback" not in notes
