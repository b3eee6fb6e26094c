"""`reasonlens hybrid` with a judge: a server on this machine that says yes to what ends in an answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reasonlens.cli.app import app
from reasonlens.organisms import problems
from reasonlens.pairs import pair
from tests.traces.test_judge import Endpoint, said

COUNTS = ("--train", "40", "--validation", "5", "--test", "10")
CHOSEN = ("--mechanism", "mean-difference", "--layers", "2", "--strengths", "0.75")


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    exact = pair._solves
    monkeypatch.setattr(pair, "_solves", lambda question, text: exact(question, text) or None)  # unsure, not wrong
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("MY_KEY", "secret")
    found = Endpoint()
    found.reply = lambda _, text: said("yes" if "answer" in text.split("<response>")[1] else "no")
    threading.Thread(target=found.server.serve_forever, daemon=True).start()
    yield found
    found.server.shutdown()
    found.server.server_close()


def run(tmp_path: Path, url: str) -> tuple[int, str, str]:
    asked = tmp_path / "problems.jsonl"
    rows = [
        {"question": problem.prompt, "answer": "any", "id": str(number)}
        for number, problem in enumerate(islice(problems("test", 0), 60))
    ]
    asked.write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = ("--judge-url", url, "--judge-model", "grader", "--judge-key-variable", "MY_KEY")
    given = ("--thinking", "organism/rl-timing", "--arms", "probe-gated", "--problems", str(asked))
    result = CliRunner().invoke(app, ["hybrid", *given, *COUNTS, *CHOSEN, *told, "--out", str(tmp_path / "h")])
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.long
def test_the_judge_stands_beside_the_rule_and_is_asked_once(tmp_path: Path, endpoint: Endpoint) -> None:
    code, out, err = run(tmp_path, endpoint.url)
    assert code == 0, err
    (result,) = json.loads((tmp_path / "h" / "results.json").read_text())["pairs"].values()
    n_asked = result["judge"]["n_asked"]
    assert result["judge"]["model"] == "grader"
    assert n_asked == {name: round(result["arms"][name]["unsure"] * 10) for name in n_asked}
    assert set(n_asked) == {"base", "thinking", "hybrid", "probe-gated"} and n_asked["base"] > 0
    assert "by grader" in out and f"asked about {n_asked['base']} unsure answers" in out
    assert "Judged by grader" in (tmp_path / "h" / "report.html").read_text("utf-8")
    assert endpoint.asked[0][1]["Authorization"] == "Bearer secret"
    n = len(endpoint.asked)
    assert 0 < n <= sum(n_asked.values())
    code, _, err = run(tmp_path, endpoint.url)
    assert code == 0 and len(endpoint.asked) == n, err


@pytest.mark.long
def test_a_judge_that_refuses_loses_no_results(tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.reply = lambda *_: (401, {}, "who are you?")
    code, _, err = run(tmp_path, endpoint.url)
    assert code == 2 and "401" in err and "secret" not in err
    (result,) = json.loads((tmp_path / "h" / "results.json").read_text())["pairs"].values()
    assert result["judge"] is None and result["arms"]["hybrid"]["n"] == 10
    assert (tmp_path / "h" / "report.html").is_file()
