from __future__ import annotations

import base64
import contextlib
import json
import logging
import os
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from reasonlens.rundir import InputError, only_writer_of
from reasonlens.traces import chat_endpoint
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
            def do_POST(self) -> None:
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
    with pytest.raises(InputError, match=r"refuses: 302 Found\. Redirections are not followed"):
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
    with pytest.raises(InputError, match=r"no answer in 3 tries .500 .*broken.*\. Try again later\.$"):
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
        with pytest.raises(InputError, match="no answer in 1 try .*timed out"):
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


def test_replies_are_said_to_be_kept_only_where_there_is_a_file_with_replies(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    replies = tmp_path / "replies.jsonl"
    endpoint.reply = lambda number, text: (500, {}, "") if number % 2 else (403, {}, "")
    for file in (None, None, replies, replies):
        with pytest.raises(InputError) as raised:
            judge(endpoint, n_tries=1).grade(QUESTIONS[:1], RIGHT[:1], file)
        assert "kept" not in str(raised.value)
    endpoint.reply, endpoint.asked[:] = (lambda number, text: said("yes") if number <= 3 else (403, {}, "")), []
    for _ in range(2):  # the second asks nothing that is answered
        with pytest.raises(InputError, match=r"and the key\. The replies so far are kept in .*replies\.jsonl\.$"):
            judge(endpoint, n_parallel=1).grade(QUESTIONS, RIGHT, replies)
    with pytest.raises(InputError) as raised:
        judge(endpoint, n_parallel=1).grade(QUESTIONS, RIGHT)
    assert "kept" not in str(raised.value)


@pytest.fixture
def hanging(endpoint: Endpoint) -> Iterator[Callable[..., Reply]]:
    """Answer when the test is over, and not before."""
    is_done = threading.Event()

    def hang(number: int, text: str) -> Reply:
        is_done.wait(30)
        return said("yes")

    yield hang
    is_done.set()


class Interrupt(threading.Thread):
    """Presses Control-C once two requests wait for their answers."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__()
        self.endpoint, self.time_s = endpoint, 0.0

    def run(self) -> None:
        end = time.monotonic() + 60
        while len(self.endpoint.asked) < 2 and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.2)
        self.time_s = time.monotonic()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def test_an_interrupt_ends_waits_and_requests_at_once(
    endpoint: Endpoint, hanging: Callable[..., Reply], tmp_path: Path
) -> None:
    replies = tmp_path / "replies.jsonl"
    for reply in (hanging, lambda number, text: (429, {"Retry-After": "30"}, "busy")):
        endpoint.reply, endpoint.asked[:] = reply, []
        interrupt = Interrupt(endpoint)
        threads = set(threading.enumerate())
        interrupt.start()
        with pytest.raises(KeyboardInterrupt):
            judge(endpoint, n_parallel=2).grade(QUESTIONS, RIGHT, replies)
        interrupt.join()
        assert time.monotonic() - interrupt.time_s < 15  # a busy machine; the waits are of 30 s and more
        assert len(endpoint.asked) == 2  # neither again, nor those that had not begun
        assert not [t for t in set(threading.enumerate()) - threads if t.name.startswith("ThreadPoolExecutor")]
    assert not replies.exists()


def test_a_refusal_waits_for_no_other_request(endpoint: Endpoint, hanging: Callable[..., Reply]) -> None:
    endpoint.reply = lambda number, text: (403, {}, "") if number == 2 else hanging(number, text)
    start = time.monotonic()
    with pytest.raises(InputError, match="refuses: 403"):
        judge(endpoint, n_parallel=2).grade(QUESTIONS, RIGHT)
    assert time.monotonic() - start < 4 and len(endpoint.asked) <= 3


def test_bad_addresses_and_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="begins with http:// or https://"):
        Judge(url="file:///etc/hosts", model="m")
    with pytest.raises(InputError, match="n_tries takes a whole number of at least 1"):
        Judge(url="https://host/v1", model="m", n_tries=0)
    (tmp_path / "kept").write_text("[]\n")
    with pytest.raises(InputError, match="kept, line 1: no rows of reasonlens"):
        Judge(url="https://host/v1", model="m").grade(QUESTIONS[:1], RIGHT[:1], tmp_path / "kept")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"url": None}, "url takes a text, and not None"),
        ({"url": 5}, "url takes a text, and not 5"),
        ({"model": None}, "model takes a text"),
        ({"model": " "}, "model is empty"),
        ({"key_variable": None}, "key_variable takes a text"),
        ({"timeout_s": "1"}, "timeout_s takes a number"),
        ({"timeout_s": float("inf")}, "timeout_s takes a number"),
        ({"wait_s": float("nan")}, "wait_s takes a number"),
        ({"n_tries": 1.5}, "n_tries takes a whole number"),
        ({"n_parallel": None}, "n_parallel takes a whole number"),
        ({"options": None}, "options are names and values that JSON can hold.* and not None"),
        ({"options": [1]}, "options are names and values"),
        ({"options": {"a": object()}}, "options are names and values"),
        ({"options": {"a": float("nan")}}, "options are names and values"),
        ({"options": {1: 2}}, "options are names and values"),
        ({"options": {"model": "x"}}, r"hold 'model', which the judge sends itself: give it as Judge\(model"),
        ({"options": {"messages": []}}, "hold 'messages', which the judge sends itself"),
    ],
)
def test_a_wrong_argument_of_a_judge_is_named_in_one_line(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        Judge(**{"url": "https://host/v1", "model": "m"} | wrong)
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 500


def test_a_key_given_as_an_address_is_not_shown() -> None:
    with pytest.raises(InputError, match="begins with http:// or https://.*has no scheme") as raised:
        Judge(url="sk-verysecretkey", model="m")
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("questions", "responses", "message"),
    [
        (None, None, "questions takes a list of Question, and None .*is none"),
        (QUESTIONS[0], "1", r"questions takes a list of Question, and .* give \[question\] for one"),
        ("abc", RIGHT[:3], "questions takes a list of Question"),
        (QUESTIONS[:1], "1", "responses takes a list of str, and '1' .*is none"),
        (QUESTIONS[:1], [None], "responses takes a list of str, and None .*is none"),
        (QUESTIONS[:2], RIGHT[:1], "there are 2 questions and 1 responses: give one response for each question"),
    ],
)
def test_questions_without_a_response_each_are_refused(
    endpoint: Endpoint, questions: Any, responses: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        judge(endpoint).grade(questions, responses)
    assert not endpoint.asked


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


def test_a_reply_that_trickles_in_is_given_up_at_the_deadline(endpoint: Endpoint) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    is_done = threading.Event()

    def trickle() -> None:
        connection, _ = server.accept()
        with connection, contextlib.suppress(OSError):
            for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 1000:
                connection.sendall(bytes([byte]))
                if is_done.wait(0.05):
                    break

    thread = threading.Thread(target=trickle)
    thread.start()
    start = time.monotonic()
    try:
        with pytest.raises(InputError, match="timed out after 0.5 s"):
            url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
            judge(endpoint, url=url, n_tries=1, timeout_s=0.5).grade(QUESTIONS[:1], RIGHT[:1])
    finally:
        is_done.set()
        thread.join()
        server.close()
    assert time.monotonic() - start < 5


def test_a_reply_without_end_is_not_read_whole(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_endpoint, "MAX_BYTES", 1000)
    endpoint.reply = lambda number, text: said("yes" + " " * 10**6)
    with pytest.raises(InputError, match="more than 1,000 bytes"):
        judge(endpoint).grade(QUESTIONS[:1], RIGHT[:1])


@pytest.mark.parametrize("content", ["[" * 200_000, "9" * 5000, '{"choices": [{"message": {"content": 1}}]}'])
def test_a_reply_that_no_reader_takes_is_one_line(endpoint: Endpoint, content: str) -> None:
    endpoint.reply = lambda number, text: (200, {}, content)
    with pytest.raises(InputError, match="does not answer as a chat-completions endpoint") as raised:
        judge(endpoint).grade(QUESTIONS[:1], RIGHT[:1])
    assert len(str(raised.value)) < 500


def test_content_in_parts_is_read(endpoint: Endpoint) -> None:
    parts = [{"type": "reasoning", "text": "no?"}, {"type": "text", "text": "Y"}, {"type": "text", "text": "es."}]
    content = json.dumps({"choices": [{"message": {"content": parts}}]})
    endpoint.reply = lambda number, text: (200, {}, content)
    assert judge(endpoint).grade(QUESTIONS[:1], RIGHT[:1]) == [True]


@pytest.mark.parametrize(
    "address", ["http://[::1/v1", "http://h:99999999/v1", "http:///v1", "file:///etc/hosts", "http://h\n/v1", ""]
)
def test_what_is_no_address_is_refused_in_one_line(address: str) -> None:
    with pytest.raises(InputError, match="begins with http:// or https://"):
        Judge(url=address, model="m")


KEY = "sk-Very/Secret+Key=="
ECHOES = [
    KEY,
    KEY.replace("/", "%2F").replace("+", "%2B").replace("=", "%3D"),
    KEY.replace("/", "%2f").replace("+", "%2b").replace("=", "%3d"),
    base64.b64encode(KEY.encode()).decode(),
    base64.b64encode(f"user:{KEY}".encode()).decode(),
    base64.b64encode(f"me:{KEY}".encode()).decode(),
]


@pytest.mark.parametrize("echo", ECHOES)
def test_a_key_that_is_echoed_is_neither_shown_nor_kept(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, echo: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("MY_KEY", f"{KEY}\n")
    asker = judge(endpoint, key_variable="MY_KEY", n_tries=1, url=f"{endpoint.url}?api-key=another-secret")
    shown = [repr(asker)]
    for code, body in ((401, echo), (500, "x" * 190 + echo), (200, echo)):
        endpoint.reply = lambda number, text, code=code, body=body: (code, {"X-Echo": echo}, body)
        with pytest.raises(InputError) as raised:
            asker.grade(QUESTIONS[:1], RIGHT[:1])
        shown.append("".join(traceback.format_exception(raised.value)))
    endpoint.reply = lambda number, text: said(f"yes {echo} another-secret")
    assert asker.grade(QUESTIONS[:1], RIGHT[:1], tmp_path / "replies.jsonl") == [True]
    shown += [(tmp_path / "replies.jsonl").read_text(), caplog.text]
    assert endpoint.asked[0][1]["Authorization"] == f"Bearer {KEY}"
    assert endpoint.asked[0][0] == "/v1/chat/completions?api-key=another-secret"
    core = base64.b64encode(f"me:{KEY}".encode()).decode()[8:24]
    for text in shown:
        assert not any(part in text for part in (KEY, "Very", echo[:12], core, "another-secret")), text


def test_a_key_in_a_reason_phrase_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("MY_KEY", KEY)
    server = socket.create_server(("127.0.0.1", 0))

    def refuse() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(f"HTTP/1.1 401 bad {KEY}\r\nContent-Length: 0\r\n\r\n".encode())

    thread = threading.Thread(target=refuse)
    thread.start()
    url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
    try:
        with pytest.raises(InputError, match=r"401 bad \(key\)"):
            Judge(url=url, model="m", key_variable="MY_KEY").grade(QUESTIONS[:1], RIGHT[:1])
    finally:
        thread.join()
        server.close()


def test_keys_in_addresses_and_keys_of_several_lines_are_refused_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="holds a user name or key") as raised:
        Judge(url=f"https://user:{KEY.replace('/', '%2F')}@host/v1", model="m")
    assert "Very" not in str(raised.value)
    with pytest.raises(InputError, match="begins with http") as raised:
        Judge(url="https://user:Very@[::1/v1?key=Very", model="m")
    assert "Very" not in str(raised.value)
    monkeypatch.setenv("MY_KEY", "Very\nSecret")
    with pytest.raises(InputError, match="the key in MY_KEY holds a space, a line break") as raised:
        Judge(url="http://127.0.0.1:9/v1", model="m", key_variable="MY_KEY").grade(QUESTIONS[:1], RIGHT[:1])
    assert "Very" not in str(raised.value)


@pytest.mark.parametrize(("key", "reply", "grade"), [("no", "No.", False), ("yes", "Yes, it is.", True)])
def test_a_placeholder_of_a_key_does_not_hide_a_reply(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, key: str, reply: str, grade: bool
) -> None:
    monkeypatch.setenv("MY_KEY", key)
    endpoint.reply = lambda number, text: said(reply)
    assert judge(endpoint, key_variable="MY_KEY").grade(QUESTIONS[:1], RIGHT[:1]) == [grade]
