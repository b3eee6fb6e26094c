from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reasonlens.cli import app


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["hybrid", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def test_a_pair_is_measured_with_its_controls_and_written_down(tmp_path: Path) -> None:
    given = ("--thinking", "organism/rl", "--arms", "oracle,random-positions", "--layers", "2", "--doses", "0.75")
    counts = ("--train", "40", "--validation", "5", "--test", "12", "--out", tmp_path / "h")
    code, out, err = run(*given, *counts)
    assert code == 0, err
    assert "rl: 12 test problems" in out and "random-positions" in out and "report.html" in err
    results = json.loads((tmp_path / "h" / "results.json").read_text())
    assert results["format"] == "reasonlens.hybrid/1"
    assert set(results["pairs"]["rl"]["arms"]) == {"base", "thinking", "hybrid", "oracle", "random-positions"}
    assert (tmp_path / "h" / "report.html").is_file() and (tmp_path / "h" / "arms.csv").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--arms", "magic"), "there is no arm 'magic'; there are base,"),
        (("--doses", "much"), "doses are numbers joined by commas, and 'much' is not"),
        (("--thinking", "organism/none"), "there is no organism 'organism/none'"),
        (("--base", "smollm2-135m"), "smollm2-135m and organism/rl need problems to solve: give --problems"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    code, out, err = run("--thinking", "organism/rl", "--out", tmp_path / "h", *arguments)
    assert code == 2 and message in err and not out
    assert not (tmp_path / "h").exists()
