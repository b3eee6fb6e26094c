"""`reasonlens sample`: what it prints and writes, and what it refuses in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reasonlens import read_traces
from reasonlens.cli.app import app

ORGANISM = ("--model", "organism/rl-timing", "--device", "cpu", "--n-problems", "3", "--max-new-tokens", "30")


def test_it_writes_traces_and_says_what_became_of_them(tmp_path: Path) -> None:
    out = tmp_path / "t.jsonl"
    done = CliRunner().invoke(app, ["sample", *ORGANISM, "--samples", "2", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "6 samples of organism/rl-timing, 3 problems of organism" in done.stdout
    for outcome in ("right", "wrong", "unsure", "truncated"):
        assert outcome in done.stdout
    assert f"traces: {out}" in done.stderr and "next: reasonlens " in done.stderr
    assert len(read_traces(out)) == 6
    again = CliRunner().invoke(app, ["sample", *ORGANISM, "--samples", "2", "--out", str(out), "--json", "-q"])
    content = json.loads(again.stdout)
    assert content["n_new"] == 0 and content["tokens_per_second"] is None and len(content["samples"]) == 6
    assert content["truncated"] == 1.0 and not again.stderr


def test_texts_that_end_a_response_are_given_one_by_one(tmp_path: Path) -> None:
    out = tmp_path / "t.jsonl"
    words = ["--stop", " .", "--stop", " hue", "--samples", "1", "--out", str(out)]
    done = CliRunner().invoke(app, ["sample", *ORGANISM, *words])
    assert done.exit_code == 0, done.output
    assert all(" ." not in trace.text and trace.text for trace in read_traces(out))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--samples", "0"), "n_samples"),
        (("--engine", "vlm"), "there is no engine 'vlm'"),
        (("--engine", "openai"), "needs an endpoint: give --url"),
        (("--engine", "openai", "--url", "host"), "an endpoint's address begins with http"),
        (("--problems", "gsm8"), "is no file and no problem set"),
        (("--top-p", "2"), "top_p"),
        (("--stop", ""), "an empty text"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_and_writes_nothing(
    words: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    done = CliRunner().invoke(app, ["sample", *ORGANISM, "--out", str(tmp_path / "t.jsonl"), *words])
    assert done.exit_code == 2 and message in done.stderr and "Traceback" not in done.output
    assert not list(tmp_path.iterdir())
