from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reasonlens.cli.app import app

THINKING = ("--thinking", "organism/rl-timing")
GIVEN = (*THINKING, "--arms", "oracle,random-positions", "--layers", "2", "--strengths", "0.75")
COUNTS = ("--train", "40", "--validation", "5", "--test", "10")


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["hybrid", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    out = tmp_path_factory.mktemp("hybrid") / "h"
    code, said, told = run(*GIVEN, *COUNTS, "--out", out)
    assert code == 0, told
    return out, said, told


def test_a_pair_is_measured_with_its_controls_and_written_down(done: tuple[Path, str, str]) -> None:
    out, said, told = done
    assert "rl-timing: 10 test problems" in said and "random-positions" in said and "report.html" in told
    results = json.loads((out / "results.json").read_text())
    assert results["format"] == "reasonlens.hybrid/6"
    assert set(results["pairs"]["rl-timing"]["arms"]) == {"base", "thinking", "hybrid", "oracle", "random-positions"}
    assert len(results["pairs"]["rl-timing"]["components"]["problems_digest"]) == 64
    assert {row["model"] for row in results["pairs"]["rl-timing"]["next_sentence"]} == {"base", "thinking"}
    assert results["pairs"]["rl-timing"]["judge"] is None
    verdict = results["pairs"]["rl-timing"]["verdict"]
    assert verdict["sentence"].startswith("There is no gap to recover"), "ten problems show none"
    assert f"rl-timing: {verdict['sentence']}" in " ".join(said.split()) and f"rule {verdict['rule']!r}" in said
    assert (out / "report.html").is_file() and (out / "table.csv").is_file()
    assert json.loads((out / "run.json").read_text())["state"] == "done"


@pytest.mark.long
def test_the_same_command_goes_on_another_one_is_refused_and_no_resume_begins_anew(done: tuple[Path, str, str]) -> None:
    out, _, _ = done
    kept = out / "rl-timing" / "arms" / "hybrid.jsonl"
    before, results = kept.stat().st_mtime_ns, (out / "results.json").read_bytes()
    code, _, told = run(*GIVEN, *COUNTS, "--out", out)
    assert code == 0 and kept.stat().st_mtime_ns == before, told
    assert (out / "results.json").read_bytes() == results
    other = (*GIVEN[:-1], "0.5")
    code, _, told = run(*other, *COUNTS, "--out", out)
    assert code == 2 and "holds another run (strengths [0.75] there, [0.5] asked)" in told
    code, _, told = run(*other, *COUNTS, "--out", out, "--no-resume")
    assert code == 0 and kept.stat().st_mtime_ns > before, told
    assert json.loads((out / "results.json").read_text())["pairs"]["rl-timing"]["tuned"]["strength"] == 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--arms", "magic"), "there is no arm 'magic'; there are base,"),
        (("--strengths", "much"), "--strengths': 'much' is not numbers joined by commas"),
        (("--strengths", "nan"), "strengths, boosts and thresholds are numbers, and nan is none"),
        (("--gate", "sometimes"), "there is no gate 'sometimes'; there are disagreement, boundary and divergence:NATS"),
        (("--through", "2"), "a dose keeps a share of itself, from 0 (the first token alone) to 1, not 2.0"),
        (("--kl-limit", "0"), "the limit of KL must be a number of nats above 0, and 0.0 is not"),
        (("--mechanism", "magic"), "--mechanism': 'magic' is not one of 'optimised', 'mean-difference', 'joint'"),
        (("--strength-by", "much"), "--strength-by': 'much' is not one of 'constant', 'per-behaviour', 'network'"),
        (("--judge-url", "https://host/v1"), "a judge needs both --judge-url and --judge-model"),
        (("--judge-url", "host", "--judge-model", "m"), "a judge's address begins with http:// or https://"),
        (("--judge-url", "https://host/v1", "--judge-model", "m"), "are graded by rule alone"),
        (("--thinking", "organism/none"), "there is no organism 'organism/none'"),
        (("--base", "smollm2-135m"), "smollm2-135m needs problems to solve: give --problems"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    code, out, err = run(*THINKING, "--out", tmp_path / "h", *arguments)
    assert code == 2 and message in " ".join(err.split()) and not out
    assert not (tmp_path / "h").exists()


@pytest.mark.long
@pytest.mark.parametrize(
    ("layers", "expected"), [pytest.param("all", [0, 1, 2, 3], marks=pytest.mark.long), ("-2:", [2, 3])]
)
def test_layers_are_those_of_the_model(tmp_path: Path, layers: str, expected: list[int]) -> None:
    counts = ("--train", "20", "--validation", "5", "--test", "10")
    given = (*THINKING, "--arms", "oracle", "--strengths", "0.5", *counts)
    code, _, told = run(*given, f"--layers={layers}", "--out", tmp_path / "h")
    assert code == 0, told
    search = json.loads((tmp_path / "h" / "results.json").read_text())["pairs"]["rl-timing"]["search"]
    assert sorted({row["layer"] for row in search if row["arm"] == "hybrid"}) == expected
