"""`reasonlens label` and `label review` at the command line: what is printed, written and said of mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reasonlens import read_traces
from reasonlens.cli import label_review as review_module
from reasonlens.cli.app import app
from tests.traces.test_endpoint_annotator import lines
from tests.traces.test_judge import Endpoint, endpoint, said

__all__ = ["endpoint"]  # the fixture


def run(*words: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [str(word) for word in words])
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def thoughts(tmp_path: Path) -> Path:
    text = "<think>First we need it. Wait, no.</think>Check: it is 4."
    rows = [{"id": f"t{n}", "prompt": f"p{n}", "text": text, "spans": []} for n in range(3)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "in.jsonl"


def test_two_annotators_are_compared_in_tables_and_the_next_command_is_printed(tmp_path: Path) -> None:
    out = tmp_path / "l.jsonl"
    code, stdout, stderr = run("label", "bundled", "--by", "spans", "--by", "keywords", "--out", out)
    assert code == 0, stderr
    assert "976 sentences of 76 traces, 76 problems; spans by spans" in stdout
    assert "Cohen's kappa" in stdout and "0.374 [" in stdout and "low agreement (alpha below 2/3): init" in stdout
    assert f"reasonlens label review {out}" in stderr and f"next: reasonlens locate --traces {out}" in stderr
    assert len(read_traces(out)) == 76 and (tmp_path / "l.jsonl.label" / "report.html").is_file()


def test_thoughts_alone_are_labelled_by_another_set_as_json(thoughts: Path, tmp_path: Path) -> None:
    words = ("label", thoughts, "--thoughts-only", "--behaviours", "cognitive", "--out", tmp_path / "l.jsonl", "--json")
    code, stdout, stderr = run(*words)
    assert code == 0, stderr
    content = json.loads(stdout)
    assert content["behaviour_set"] == "cognitive" and content["n_sentences"] == 6
    labels = [span.label for span in read_traces(tmp_path / "l.jsonl")[0].spans]
    assert labels == ["subgoal-setting", "backtracking"]


def test_an_endpoint_is_asked_once_and_its_key_is_not_shown(
    thoughts: Path, tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-very-secret-key")
    endpoint.reply = lambda number, text: said("\n".join(lines(text)) if "p1" not in text else "Hello.")
    words = ("label", thoughts, "--by", "endpoint:m", "--behaviours", "cognitive", "--url", endpoint.url)
    words = (*words, "--key-variable", "MY_KEY", "--out", tmp_path / "l.jsonl")
    shown = [run(*words), run(*words)]
    assert [code for code, _, _ in shown] == [0, 0] and len(endpoint.asked) == 4
    assert shown[0][1] == shown[1][1]
    assert "endpoint:m: 2 replies could not be read" in shown[0][1]
    assert "endpoint:m: the label of 3 sentences is not known" in shown[0][1]
    assert endpoint.asked[0][1]["Authorization"] == "Bearer sk-very-secret-key"
    files = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any("very-secret" in text for text in [*files, *map(str, shown)])


def test_structured_outputs_are_an_option_and_a_refusal_names_it(
    thoughts: Path, tmp_path: Path, endpoint: Endpoint
) -> None:
    endpoint.reply = lambda number, text: said('{"1": "deduction", "2": "none", "3": "none"}')
    words = ("label", thoughts, "--by", "endpoint:m", "--url", endpoint.url, "--structured-outputs")
    code, stdout, stderr = run(*words, "--out", tmp_path / "l.jsonl")
    assert code == 0 and "endpoint:m: replies held to a JSON schema (structured outputs)" in stdout, stderr
    assert all(body["response_format"]["type"] == "json_schema" for _, _, body in endpoint.asked)
    endpoint.reply = lambda *_: (400, {}, "response_format is not supported")
    code, stdout, stderr = run(*words, "--out", tmp_path / "refused.jsonl", "-q")
    assert code == 2 and not stdout and stderr.count("\n") == 1
    assert "response_format is not supported" in stderr and "leave out --structured-outputs" in stderr
    assert not (tmp_path / "refused.jsonl").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--by", "keyword"), "there is no annotator 'keyword'; there are keywords"),
        (("--by", "endpoint:m"), "needs the address of the endpoint: --url"),
        (("--behaviours", "backtracking"), "there is no behaviour set 'backtracking': give one of bundled, published"),
        (("--take", "rules"), "the labels of 'rules' cannot be taken"),
        (("--by", "rules"), "puts no problem of the organisms"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_no_file(thoughts: Path, tmp_path: Path, words, message: str) -> None:
    code, stdout, stderr = run("label", thoughts, *words, "--out", tmp_path / "l.jsonl", "-q")
    assert code == 2 and message in stderr and stderr.count("\n") == 1 and not stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl"]


def test_label_review_is_a_command_of_two_words_and_review_may_be_a_file(
    thoughts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[object] = []
    monkeypatch.setattr("reasonlens.label_review", lambda file, **options: called.append((file, options)) or 2)
    assert review_module.label_review is not None
    for words in (("label", "review"), ("label-review",)):
        code, stdout, stderr = run(*words, thoughts, "--no-browser", "--port", 8123)
        assert code == 0 and "2 sentences labelled by a person" in stdout, stderr
        assert f"next: reasonlens locate --traces {thoughts}" in stderr
    assert called == [(thoughts, {"port": 8123, "browser": False})] * 2
    code, _, stderr = run("label", "./review", "--out", tmp_path / "l.jsonl")
    assert code == 2 and "review" in stderr and len(called) == 2
