"""`reasonlens exchange` and `reasonlens calibrate`: run, gone on with, refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reasonlens.cli.app import app

COUNTS = ("--test", "10", "--samples", "1")


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    out = tmp_path_factory.mktemp("exchange") / "e"
    code, output, notes = run("exchange", "--thinking", "organism/rl-timing", *COUNTS, "--out", out)
    assert code == 0, notes
    return out, output, notes


def test_a_pair_is_exchanged_both_ways_with_its_controls_and_a_sentence(done: tuple[Path, str, str]) -> None:
    out, output, notes = done
    assert "rl-timing" in output and "10 test problems" in output and "report.html" in notes
    pair = json.loads((out / "results.json").read_text())["pairs"]["rl-timing"]
    assert set(pair["cells"]) == {"base", "when", "how", "thinking", "other moments", "itself"}
    assert pair["verdict"]["sentence"] in output and pair["verdict"]["sentence"] in (out / "report.html").read_text()
    assert pair["base"] == "organism/base-timing" and pair["gap"]["n"] == 10
    assert {path.stem for path in (out / "rl-timing" / "cells").iterdir()} == {
        *("base", "when", "how", "thinking", "other-moments", "itself")
    }
    assert json.loads((out / "run.json").read_text())["state"] == "done"


def test_the_same_command_goes_on_where_it_was_cut_off_and_another_one_is_refused(
    done: tuple[Path, str, str],
) -> None:
    out, _, _ = done
    log, before = out / "rl-timing" / "cells" / "how.jsonl", (out / "results.json").read_bytes()
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:6]) + lines[6][:40])
    code, _, notes = run("exchange", "--thinking", "organism/rl-timing", *COUNTS, "--out", out)
    assert code == 0, notes
    assert (out / "results.json").read_bytes() == before and log.read_text() == "".join(lines)
    code, _, notes = run("exchange", "--thinking", "organism/rl-timing", *COUNTS, "--plans", "none", "--out", out)
    assert code == 2 and "holds another run" in notes


def test_a_family_is_calibrated_pair_by_pair(tmp_path: Path) -> None:
    arguments = ("calibrate", "--pairs", "rl-timing", *COUNTS, "--quick", "--jobs", "1", "--out", tmp_path / "c")
    code, output, notes = run(*arguments, "--json")
    assert code == 0, notes
    result = json.loads(output)
    assert {"mean_abs_error", "concordance", "n_pairs", "pairs"} <= set(result) and result["n_pairs"] == 1
    assert {"truth", "when_share", "low", "high"} <= set(result["pairs"]["rl-timing"])
    assert result["pairs"]["rl-timing"]["truth"] > 0.9 and result["pairs"]["rl-timing"]["gap"]["n"] == 5
    assert (tmp_path / "c" / "report.html").is_file() and (
        tmp_path / "c" / "pairs" / "rl-timing" / "run.json"
    ).is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("calibrate", "--pairs", "rl-timin"), "the truth of 'rl-timin' is not known; it is of rl-both"),
        (("calibrate", "--family", "nowhere"), "nowhere"),
        (("exchange", "--temperature", "0"), "greedily a model has but one"),
        (("exchange", "--thinking", "organism/base-timing"), "is a base itself"),
    ],
)
def test_what_cannot_be_run_is_refused_in_a_line(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, notes = run(*arguments)
    assert code == 2 and message in " ".join(notes.split()) and "Traceback" not in notes
    assert not (tmp_path / "runs").exists()
