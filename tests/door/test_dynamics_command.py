"""`reasonlens dynamics`: from a table, from checkpoints, as JSON, and refused in a line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reasonlens.cli.app import app
from reasonlens.cli.console import next_of_pair
from reasonlens.cli.dynamics import _last_model

from ..pairs.dynamics.test_published import behaviours_file, problems_file


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["dynamics", *map(str, arguments)])
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


def test_a_table_gives_curves_changes_and_a_sentence(tmp_path: Path) -> None:
    code, output, notes = run("--table", problems_file(tmp_path), "--out", tmp_path / "out")
    assert code == 0, notes
    assert "Accuracy rose: by" in output and "in a jump at 2.5" in output and "Control: of the same" in output
    assert "next: reasonlens" in notes and (tmp_path / "out" / "report.html").is_file()
    code, output, notes = run("--table", behaviours_file(tmp_path), "--condition", "rises", "--json")
    result = json.loads(output)
    assert code == 0 and list(result["runs"]) == ["rises"] and result["format"] == "reasonlens.dynamics/1"
    assert result["runs"]["rises"]["verdict"]["rule"] == "no change" and "report" not in notes


def test_checkpoints_are_sampled_and_gone_on_with(tmp_path: Path) -> None:
    short = ("--test", "2", "--samples", "2", "--attempts", "2", "--max-new-tokens", "12", "--texts", "none")
    steps = "0=organism/base-timing,30=organism/rl-timing@30,60=organism/rl-timing"
    arguments = ("--checkpoints", steps, *short, "--out", tmp_path / "run")
    code, output, notes = run(*arguments)
    assert code == 0, notes
    assert "No change of accuracy is shown" in output and "The gain in accuracy, split exactly" in output
    assert {path.name for path in (tmp_path / "run" / "steps").iterdir()} == {"000000", "000030", "000060"}
    code, again, _ = run(*arguments)
    assert code == 0 and again == output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--checkpoints", "20=a,10=b", "--base", "x"), "steps ascend, and 10 stands behind 20"),
        (("--checkpoints", "10=a,10=b", "--base", "x"), "step 10 is named twice"),
        (("--checkpoints", "nowhere"), "there is no directory of checkpoints 'nowhere'"),
        (("--checkpoints", "10=./a,20=./b", "--base", "x"), "there is no model './a' for step 10"),
        (("--checkpoints", "0=smollm2-135m,1=smollm2-135m,2=smollm2-135m"), "needs problems to solve"),
        (("--table", "nowhere.json"), "cannot read a table of a training from nowhere.json"),
        (("--table", "nowhere.json", "--base", "x"), "a table takes the place of checkpoints"),
        (("--attempts", "99"), "pass@99 needs as many samples of each problem, and 16 are drawn"),
        (("--when-at", "7"), "7 (--when-at) is none of 10, 20, 30, 40, 50, 60"),
        (("--temperature", "0"), "greedily a model has but one"),
        (("--condition", "a"), "are chosen of published tables"),
    ],
)
def test_what_cannot_be_followed_is_refused_in_a_line(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, notes = run(*arguments)
    assert code == 2 and message in notes and "Traceback" not in notes
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("checkpoints", "last"),
    [("10=a,200=b,30=c", "b"), ("organism/rl-timing", "organism/rl-timing"), ("1e2=x=y,5=z", "x=y")],
)
def test_the_next_command_is_about_the_last_step(checkpoints: str, last: str) -> None:
    assert _last_model(checkpoints) == last


def test_the_next_command_of_a_pair_names_base_and_problems(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="reasonlens"):
        next_of_pair("exchange", "base", "it's", "gsm8k", "--quick")
        next_of_pair("exchange", None, "organism/rl-skill", None)
    assert caplog.messages == [
        "next: reasonlens exchange --base base --thinking 'it'\"'\"'s' --problems gsm8k --quick",
        "next: reasonlens exchange --thinking organism/rl-skill",
    ]
