"""The walk of docs/own-data.md, command by command: with an organism in place of the model, and few of its problems."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reasonlens.cli.app import app

from .floor_plan import ROOT

PAGE = (ROOT / "docs" / "own-data.md").read_text("utf-8")
SMALL = {  # an option of the page -> what the test gives in its place
    "--model": "organism/rl-timing",
    "--problems": "organism",
    "--n-problems": "24",
    "--samples": "1",
    "--max-new-tokens": "287",
    "--by": "rules",
}


def commands() -> list[list[str]]:
    blocks = re.findall(r"^```bash\n(.*?)^```", PAGE, flags=re.S | re.M)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("reasonlens ")]


def smaller(words: list[str]) -> list[str]:
    return [SMALL.get(before, word) for before, word in zip(["", *words], words, strict=False)]


def test_every_command_of_the_walk_runs_in_its_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    verbs = []
    for words in commands():
        if words[:2] == ["label", "review"]:  # a page that waits for a person
            continue
        done = CliRunner().invoke(app, smaller(words))
        assert done.exit_code == 0, (words, done.stderr)
        if words[0] == "label":
            assert "next: reasonlens locate --model organism/rl-timing --traces labelled.jsonl" in done.stderr
        verbs.append(words[0])
    assert verbs[:2] == ["sample", "traces"] and {"label", "locate"} <= set(verbs)
    labelled = [json.loads(line) for line in (tmp_path / "labelled.jsonl").read_text("utf-8").splitlines()]
    assert len(labelled) == 24 and all(row["spans"] and row["metadata"]["grade"] for row in labelled)
    assert (tmp_path / "runs" / "mine" / "report.html").is_file()


def test_the_walk_names_the_file_that_its_first_block_writes() -> None:
    (script,) = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.S | re.M)
    assert "apples.jsonl" in script and any("apples.jsonl" in words for words in commands())
