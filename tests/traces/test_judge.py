from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from reasonlens.rundir import InputError, only_writer_of
from reasonlens.traces.judge import (
    N_CHARACTERS,
    Judge,
    judge_request,
    parse_reply,
)
from reasonlens.traces.questions import Question

QUESTIONS = [Question(f"p{number}", f"What is {number} + 1?", str(number + 1)) for number in range(6)]
RIGHT = [f"Well.\nI count.\nSo it is {number + 1}." for number in range(6)]

Reply = tuple[int, dict[str, str], str]


class Endpoint:
    """A server on this machine: what it was asked, and what it answers to the n-th question put to it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.reply: Callable[[int, str], Reply] = lambda number, text: said(_compares(text))
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # noqa: N802
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                endpoint.asked.append((self.path, dict(self.headers), body))
                code, headers, content = endpoint.reply(len(endpoint.asked), body["messages"][0]["content"])
                self.send_response(code)
                for name, value in ({"Content-Length": str(len(content.encode()))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content.encode())

            def log_message(self, *args: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"


def said(text: str) -> Reply:
    return 200, {}, json.dumps({"choices": [{"message": {"content": text}}]})


def _compares(text: str) -> str:
    answer = text.split("Reference answer: ")[1].split("\n")[0]
    return "Yes." if text.split("<response>")[1].split("</response>")[0].strip().endswith(f" {answer}.") else "no"


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    found = Endpoint()
    thread = threading.Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


def judge(endpoint: Endpoint, **options: Any) -> Judge:
    return Judge(**{"url": endpoint.url, "model": "m", "wait_s": 0.0} | options)


def test_right_and_wrong_answers_are_told_apart_in_the_order_they_came(endpoint: Endpoint) -> None:
    responses = [RIGHT[0], "So it is 7.", RIGHT[2], "", RIGHT[4], "It is 6 or 7."]
    assert judge(endpoint).grade(QUESTIONS, responses) == [True, False, True, False, True, False]
    assert len(endpoint.asked) == 5  # nothing is asked about an empty response
    path, headers, body = endpoint.asked[0]
    assert path == "/v1/chat/completions" and "Authorization" not in headers
    assert body["model"] == "m" and body["temperature"] == 0


def test_the_judge_sees_the_question_the_reference_and_the_last_lines_only() -> None:
    response = "\n\n".join(["The secret is 41."] + [f"line {number}" for number in range(5)])
    asked = judge_request(QUESTIONS[0], response)
    assert asked is not None
    assert "What is 0 + 1?" in asked and "Reference answer: 1\n" in asked
    assert "line 2\nline 3\nline 4" in asked and "line 1\n" not in asked and "secret" not in asked
    assert len(judge_request(QUESTIONS[0], "x" * 10**6) or "") < N_CHARACTERS + 1000
    assert "{answer}" in (judge_request(QUESTIONS[0], "{answer} {0}") or "")
    with pytest.raises(InputError, match="has no answer that a judge could compare with"):
        judge_request(Question("p", "Why?"), "So.")


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("yes", True),
        ("**Yes**, it is.", True),
        ("No.", False),
        ("<think>yes? yes.</think>\nno", False),
        ("Not sure", None),
        ("Yesterday", None),
        ("", None),
    ],
)
def test_a_reply_means_its_first_word(text: str, meaning: bool | None) -> None:
    assert parse_reply(text) is meaning


def test_a_reply_that_is_neither_is_no_grade(endpoint: Endpoint) -> None:
    endpoint.reply = lambda number, text: said("I cannot say")
    assert judge(endpoint).grade(QUESTIONS[:1], RIGHT[:1]) == [None]


def test_the_key_comes_from_the_environment_and_is_told_to_nobody_else(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MY_KEY", "k-123")
    asker = judge(endpoint, key_variable="MY_KEY")
    asker.grade(QUESTIONS[:1], RIGHT[:1], tmp_path / "kept.jsonl")
    assert endpoint.asked[0][1]["Authorization"] == "Bearer k-123"
    assert "k-123" not in repr(asker) + (tmp_path / "kept.jsonl").read_text()
    endpoint.reply = lambda number, text: (401, {}, "wrong key k-123")
    with pytest.raises(
        InputError, match=r"refuses: 401 .*wrong key \(key\)\. Check the address, the model and the key"
    ):
        asker.grade(QUESTIONS[:1], RIGHT[:1])
    endpoint.reply = lambda number, text: (302, {"Location": f"{endpoint.url}/elsewhere"}, "")
    n_asked = len(endpoint.asked)
    with pytest.raises(InputError, match="refuses: 302"):
        asker.grade(QUESTIONS[:1], RIGHT[:1])
    assert len(endpoint.asked) == n_asked + 1


def test_a_busy_endpoint_is_asked_again_and_a_refusal_is_not(endpoint: Endpoint) -> None:
    replies = {1: (429, {"Retry-After": "0"}, "busy"), 2: (503, {"Retry-After": "Wed, 21 Oct 2015"}, "")}
    endpoint.reply = lambda number, text: replies.get(number, said("yes"))
    assert judge(endpoint).grade(QUESTIONS[:1], RIGHT[:1]) == [True]
    assert len(endpoint.asked) == 3
    endpoint.reply = lambda number, text: (404, {}, "no such model")
    with pytest.raises(InputError, match="refuses: 404 .*no such model"):
        judge(endpoint).grade(QUESTIONS[:1], RIGHT[:1])
    assert len(endpoint.asked) == 4


def test_an_endpoint_that_stays_away_is_named_with_what_it_last_did(endpoint: Endpoint) -> None:
    endpoint.reply = lambda number, text: (500, {}, "broken")
    with pytest.raises(InputError, match="no answer in 3 tries .500 .*broken.*What was answered is kept"):
        judge(endpoint, n_tries=3).grade(QUESTIONS[:1], RIGHT[:1])
    closed = Judge(url="http://127.0.0.1:9/v1", model="m", n_tries=2, wait_s=0)
    with pytest.raises(InputError, match="no answer in 2 tries .*refused"):
        closed.grade(QUESTIONS[:1], RIGHT[:1])


def test_an_endpoint_that_does_not_answer_in_time_is_given_up(endpoint: Endpoint) -> None:
    done = threading.Event()

    def slow(number: int, text: str) -> Reply:
        done.wait(5)
        return said("yes")

    endpoint.reply = slow
    try:
        with pytest.raises(InputError, match="no answer in 1 tries .*timed out"):
            judge(endpoint, n_tries=1, timeout_s=0.1).grade(QUESTIONS[:1], RIGHT[:1])
    finally:
        done.set()


@pytest.mark.parametrize("content", ["<html>", "{}", '{"choices": []}', "[1]"])
def test_what_is_no_chat_endpoint_is_said(endpoint: Endpoint, content: str) -> None:
    endpoint.reply = lambda number, text: (200, {}, content)
    with pytest.raises(InputError, match="does not answer as a chat-completions endpoint"):
        judge(endpoint).grade(QUESTIONS[:1], RIGHT[:1])


def test_a_run_that_was_cut_off_asks_only_what_it_has_not_asked(endpoint: Endpoint, tmp_path: Path) -> None:
    kept = tmp_path / "judge" / "kept.jsonl"
    endpoint.reply = lambda number, text: said("yes") if number <= 3 else (500, {}, "")
    with pytest.raises(InputError, match="no answer"):
        judge(endpoint, n_tries=1, n_parallel=1).grade(QUESTIONS, RIGHT, kept)
    assert len(kept.read_text().splitlines()) == 1 + 3  # the first says what they are
    with kept.open("a") as file:
        file.write('{"key": "half a li')
    endpoint.reply, endpoint.asked[:] = (lambda number, text: said("yes")), []
    assert judge(endpoint).grade(QUESTIONS, RIGHT, kept) == [True] * 6
    assert len(endpoint.asked) == 3
    assert judge(endpoint).grade(QUESTIONS, RIGHT, kept) == [True] * 6
    assert len(endpoint.asked) == 3
    judge(endpoint, model="another").grade(QUESTIONS[:1], RIGHT[:1], kept)
    assert len(endpoint.asked) == 4


def test_bad_addresses_and_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="begins with http:// or https://"):
        Judge(url="file:///etc/hosts", model="m")
    with pytest.raises(InputError, match="at least one try"):
        Judge(url="https://host/v1", model="m", n_tries=0)
    (tmp_path / "kept").write_text("[]\n")
    with pytest.raises(InputError, match="kept, line 1: no rows of reasonlens"):
        Judge(url="https://host/v1", model="m").grade(QUESTIONS[:1], RIGHT[:1], tmp_path / "kept")


def test_an_altered_reply_is_named_with_its_line(endpoint: Endpoint, tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    judge(endpoint, n_parallel=1).grade(QUESTIONS, RIGHT, kept)
    kept.write_text(kept.read_text().replace('"reply": "Yes."', '"reply": "No!!"', 1))
    with pytest.raises(InputError, match="kept.jsonl, line 2 is altered"):
        judge(endpoint).grade(QUESTIONS, RIGHT, kept)


def test_two_judges_on_one_file_are_refused(endpoint: Endpoint, tmp_path: Path) -> None:
    with only_writer_of(tmp_path / "kept.jsonl"):
        with pytest.raises(InputError, match=rf"kept.jsonl is being written by process {os.getpid()} on"):
            judge(endpoint).grade(QUESTIONS, RIGHT, tmp_path / "kept.jsonl")
    judge(endpoint).grade(QUESTIONS, RIGHT, tmp_path / "kept.jsonl")
    assert os.listdir(tmp_path) == ["kept.jsonl"]
