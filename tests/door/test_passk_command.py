"""`reasonlens passk`: from counts, from models, as JSON, and refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reasonlens.cli.app import app

from ..pairs.passk.results import crossing_rates, rows

KEYS = {
    *("k", "base", "thinking", "difference_low", "difference_high", "crossover", "gain_k", "loss_k"),
    *("only_base", "only_thinking", "n_problems"),
}


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The options that name two files of counts of a pair that crosses."""
    place = tmp_path_factory.mktemp("counts")
    options = []
    for seed, (role, rates) in enumerate(zip(("base", "thinking"), crossing_rates(0, 150), strict=True)):
        text = "".join(f"{json.dumps(row)}\n" for row in rows(seed, rates, 64))
        (place / f"{role}.jsonl").write_text(text)
        options += [f"--{role}-counts", str(place / f"{role}.jsonl")]
    return options


def test_counts_give_a_table_and_say_where_the_base_overtakes(counts: list[str]) -> None:
    code, output, notes = run("passk", *counts, "--resamples", "300")
    assert code == 0, notes
    assert "pass@k of 150 problems" in output and "the base is first as good at k = " in output
    assert "surely ahead at k = 1–" in output and "chance is not known here" in output
    assert "next: reasonlens" in notes and "report" not in notes


def test_json_has_the_keys_that_others_read(counts: list[str], tmp_path: Path) -> None:
    code, output, _ = run(
        "passk", *counts, "--resamples", "300", "--json", "--chance", "0.001", "--out", tmp_path / "o"
    )
    result = json.loads(output)
    assert code == 0 and set(result) >= KEYS
    assert result["k"] == list(range(1, 65)) and result["n_problems"] == 150
    for key in ("base", "thinking", "difference_low", "difference_high"):
        assert len(result[key]) == 64
    assert result["k"][0] in result["gain_k"] and not set(result["gain_k"]) & set(result["loss_k"])
    gaps = [thinking - base for base, thinking in zip(result["base"], result["thinking"], strict=True)]
    assert result["crossover"] == next(k for k, gap in zip(result["k"], gaps, strict=True) if gap <= 0)
    assert result["only_base"] + result["only_thinking"] + result["both"] + result["neither"] == 150
    assert json.loads((tmp_path / "o" / "results.json").read_text()) == result
    assert json.loads((tmp_path / "o" / "run.json").read_text())["state"] == "done"
    page = (tmp_path / "o" / "report.html").read_text()
    assert "can be the crossover" in page and "Cover@tau" in page
    code, _, notes = run("passk", *counts[:2], "--thinking-counts", counts[1], "--out", tmp_path / "o")
    assert code == 2 and "holds another run" in notes


def test_a_pair_is_sampled_and_more_samples_are_added(tmp_path: Path) -> None:
    arguments = (
        "passk",
        "--thinking",
        "organism/sft-skill",
        "--test",
        "2",
        "--resamples",
        "100",
        "--out",
        tmp_path / "p",
    )
    code, output, notes = run(*arguments, "--samples", "2", "--json")
    assert code == 0, notes
    result = json.loads(output)
    assert (result["base_model"], result["thinking_model"]) == ("organism/base-skill", "organism/sft-skill")
    assert result["k"] == [1, 2] and result["steps"]["k"] == [1, 2]
    assert result["chance"]["pass_at"][0] == pytest.approx(6**-5)
    code, output, _ = run(*arguments, "--samples", "3", "--k", "3", "--quiet")
    assert code == 0 and "every step" in output
    assert json.loads((tmp_path / "p" / "results.json").read_text())["k"] == [3]
    assert len((tmp_path / "p" / "counts" / "base.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--base-counts", "nowhere.jsonl", "--thinking-counts", "nowhere.jsonl"),
            "cannot read counts from nowhere.jsonl",
        ),
        (("--base-counts", "nowhere.jsonl"), "give --base-counts and --thinking-counts"),
        (("--k", "1.5"), "--k takes whole numbers from 1"),
        (("--k", "128", "--samples", "64"), "k = 128 needs as many samples of every problem, and one has 64"),
        (("--temperature", "0"), "greedily a model has but one"),
        (("--thinking", "organism/base-timing"), "is a base itself"),
        (("--thinking", "smollm2-135m"), "needs problems to solve"),
        (("--chance", "2"), "chance takes a number from 0 to 1"),
    ],
)
def test_what_cannot_be_run_is_refused_in_a_line(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, notes = run("passk", *arguments)
    assert code == 2 and message in " ".join(notes.split()) and "Traceback" not in notes
    assert not (tmp_path / "runs").exists()
