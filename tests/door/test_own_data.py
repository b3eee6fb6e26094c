"""The walk of docs/own-data.md, command by command: with an organism and a server of this test in place of models."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reasonlens.cli.app import app
from tests.traces.test_endpoint_annotator import sentences_asked
from tests.traces.test_judge import Endpoint, endpoint, said

from .floor_plan import ROOT

__all__ = ["endpoint"]  # the fixture
PAGE = (ROOT / "docs" / "own-data.md").read_text("utf-8")
SMALL = {  # an option of the page -> what the test gives in its place
    "--model": "organism/rl-timing",
    "--problems": "organism",
    "--n-problems": "24",
    "--samples": "1",
    "--max-new-tokens": "287",
}


def commands() -> list[list[str]]:
    blocks = re.findall(r"^```bash\n(.*?)^```", PAGE, flags=re.S | re.M)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("reasonlens ")]


def smaller(words: list[str], url: str) -> list[str]:
    instead = SMALL | {"--url": url}
    chosen = [instead.get(before, word) for before, word in zip(["", *words], words, strict=False)]
    return ["rules" if word == "keywords" else word for word in chosen]


def test_every_command_of_the_walk_runs_in_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endpoint: Endpoint
) -> None:
    monkeypatch.chdir(tmp_path)
    endpoint.reply = lambda number, text: said(
        json.dumps({str(place): "deduction" for place in range(1, sentences_asked(text) + 1)})
    )
    verbs = []
    for words in commands():
        if words[:2] == ["label", "review"]:  # a page that waits for a person
            continue
        done = CliRunner().invoke(app, smaller(words, endpoint.url))
        assert done.exit_code == 0, (words, done.stderr)
        if words[0] == "label":
            file = words[words.index("--out") + 1]
            assert f"next: reasonlens locate --model organism/rl-timing --traces {file}" in done.stderr
        verbs.append(words[0])
    assert verbs[:2] == ["sample", "traces"] and verbs.count("label") == 2 and "locate" in verbs
    assert {body["max_tokens"] for _, _, body in endpoint.asked} == {200}
    assert {body["response_format"]["type"] for _, _, body in endpoint.asked} == {"json_schema"}
    labelled = [json.loads(line) for line in (tmp_path / "labelled.jsonl").read_text("utf-8").splitlines()]
    assert len(labelled) == 24 and all(row["spans"] and row["metadata"]["grade"] for row in labelled)
    assert (tmp_path / "runs" / "mine" / "report.html").is_file()


def test_the_walk_names_the_file_that_its_first_block_writes() -> None:
    (script,) = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.S | re.M)
    assert "apples.jsonl" in script and any("apples.jsonl" in words for words in commands())
