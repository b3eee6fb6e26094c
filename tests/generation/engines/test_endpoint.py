"""Samples of an endpoint that is busy, drops, delays, truncates, lies, redirects: nothing is lost or paid twice."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from reasonlens import Endpoint, InputError, Question, Samples, SampleSettings, read_traces, sample
from reasonlens.generation.engines import sample_seed

KEY = "sk-do-not-show-this-1234"
QUESTIONS = [Question(f"p{number}", f"What is {number} + 1?", str(number + 1)) for number in range(5)]
SETTINGS = SampleSettings(n_samples=2, max_new_tokens=30, temperature=0.8, top_p=0.9, seed=4, system="Be brief.")

Answer = Callable[[BaseHTTPRequestHandler, int, dict[str, Any]], None]


def send(handler: BaseHTTPRequestHandler, code: int, content: Any, **headers: str) -> None:
    """Send a whole answer."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    handler.send_response(code)
    for name, value in ({"Content-Length": str(len(data))} | headers).items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(data)


def reply_to(body: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Make the right reply to a request; its text depends on prompt and seed alone, as of a model that heeds them."""
    number = int(body["messages"][-1]["content"].split()[2])
    text = f"It is {number + 1 + body.get('seed', 0) % 2}."
    choice = {"message": {"content": text}, "finish_reason": "stop"} | changes.pop("choice", {})
    return {"choices": [choice], "usage": {"completion_tokens": 5}, "model": body["model"]} | changes


def honest(handler: BaseHTTPRequestHandler, number: int, body: dict[str, Any]) -> None:
    send(handler, 200, reply_to(body))


class Server:
    """An endpoint on this machine, and what it was asked; `answer` answers the n-th request, counted from 1."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.answer: Answer = honest
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.asked.append(body)
                server.keys.append(self.headers.get("Authorization"))
                server.answer(self, len(server.asked), body)

            def log_message(self, *args: Any) -> None: ...

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, *args: Any) -> None: ...

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("MY_KEY", KEY)
    started = Server()
    thread = threading.Thread(target=started.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield started
    started.server.shutdown()
    thread.join()
    started.server.server_close()


def drawn(server: Server, out: Path | None = None, settings: SampleSettings = SETTINGS, **options: Any) -> Samples:
    quick: dict[str, Any] = {"wait_s": 0.01, "timeout_s": 5, "n_tries": 3, "n_parallel": 1, "key_variable": "MY_KEY"}
    endpoint = Endpoint(url=server.url, **quick | options)
    return sample("small", QUESTIONS, out=out, settings=settings, engine="openai", endpoint=endpoint, progress=False)


def test_each_sample_is_asked_once_with_a_seed_of_its_own(server: Server, tmp_path: Path) -> None:
    result = drawn(server, tmp_path / "t.jsonl", n_parallel=4)
    assert len(server.asked) == len(result.samples) == 10 and result.n_new == 10
    assert len({body["seed"] for body in server.asked}) == 10
    for body in server.asked:
        assert body["messages"][0] == {"role": "system", "content": "Be brief."}
        assert {name: body[name] for name in ("model", "max_tokens", "temperature", "top_p")} == {
            **{"model": "small", "max_tokens": 30, "temperature": 0.8, "top_p": 0.9},
        }
    assert set(server.keys) == {f"Bearer {KEY}"}
    assert {one.grade for one in result.samples} == {"right", "wrong"}
    assert all(one.n_tokens == 5 and not one.is_truncated for one in result.samples)
    assert read_traces(tmp_path / "t.jsonl") == result.traces
    assert drawn(server, tmp_path / "t.jsonl").n_new == 0 and len(server.asked) == 10, "nothing is paid twice"
    more = SampleSettings(n_samples=3, max_new_tokens=30, temperature=0.8, top_p=0.9, seed=4, system="Be brief.")
    assert drawn(server, tmp_path / "t.jsonl", more).n_new == 5 and len(server.asked) == 15


def test_an_endpoint_that_heeds_no_seed_is_named(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    drawn(server)
    assert "same text" not in caplog.text, "the control: one of the texts differs"
    server.answer = lambda handler, number, body: send(handler, 200, reply_to(body | {"seed": 0}))
    drawn(server)
    assert "all 2 samples of each problem are the same text" in caplog.text
    assert "does not seem to heed temperature (0.8) and seed" in caplog.text
    caplog.clear()
    drawn(server, settings=SampleSettings(n_samples=2, max_new_tokens=30, temperature=0))
    assert "same text" not in caplog.text, "greedily they are"


def test_the_order_of_replies_changes_no_byte(server: Server, tmp_path: Path) -> None:
    drawn(server, tmp_path / "one.jsonl")
    server.answer = lambda handler, number, body: (time.sleep(0.02 * (number % 3)), honest(handler, number, body))[1]
    drawn(server, tmp_path / "eight.jsonl", n_parallel=8)
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "eight.jsonl").read_bytes()


def drops(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.close()


def delays(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(1)


def trickles(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(10):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.1)


def truncates(handler: BaseHTTPRequestHandler) -> None:
    send(handler, 200, b'{"choices": [{"mess', Content_Length="500")


FAULTS: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {
    "drops": drops,
    "delays": delays,
    "trickles": trickles,
    "truncates": truncates,
    "is busy": lambda handler: send(handler, 429, {"error": "slow down"}, Retry_After="0.01"),
    "is broken": lambda handler: send(handler, 503, b"<html>"),
    "is no JSON": lambda handler: send(handler, 200, b"hello"),
    "has no choice": lambda handler: send(handler, 200, {"choices": []}),
    "is of another shape": lambda handler: send(handler, 200, {"choices": [{"message": {"content": {"a": 1}}}]}),
}


SLOW = ("delays", "trickles")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_passes_changes_nothing(server: Server, tmp_path: Path, fault: str) -> None:
    drawn(server, tmp_path / "whole.jsonl")
    n_before = len(server.asked)

    def answer(handler: BaseHTTPRequestHandler, number: int, body: dict[str, Any]) -> None:
        FAULTS[fault](handler) if number - n_before in (1, 4) else honest(handler, number, body)

    server.answer = answer
    drawn(server, tmp_path / "t.jsonl", timeout_s=0.5 if fault in SLOW else 5)
    assert (tmp_path / "t.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert len(server.asked) == n_before + 12 or (fault in SLOW and len(server.asked) > n_before + 12)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_stays_is_counted_and_what_came_is_not_asked_for_again(
    server: Server, tmp_path: Path, fault: str
) -> None:
    def answer(handler: BaseHTTPRequestHandler, number: int, body: dict[str, Any]) -> None:
        is_ill = "What is 2 " in body["messages"][-1]["content"]
        FAULTS[fault](handler) if is_ill else honest(handler, number, body)

    server.answer = answer
    with pytest.raises(InputError, match=r"2 of 10 samples are missing \(.*samples without a reply") as raised:
        drawn(server, tmp_path / "t.jsonl", timeout_s=0.5 if fault in SLOW else 5, n_tries=2)
    assert "t.jsonl.rows keeps the samples so far" in str(raised.value)
    assert not (tmp_path / "t.jsonl").exists()
    n_before = len(server.asked)
    server.answer = honest
    assert drawn(server, tmp_path / "t.jsonl").n_new == 2 and len(server.asked) == n_before + 2


@pytest.mark.parametrize("code", [301, 302, 307, 308, 401, 403, 404])
def test_redirections_and_what_every_request_would_meet_end_the_run_at_once(
    server: Server, tmp_path: Path, code: int
) -> None:
    def answer(handler: BaseHTTPRequestHandler, number: int, body: dict[str, Any]) -> None:
        if number < 4:
            honest(handler, number, body)
        else:
            send(handler, code, {"error": f"no {KEY}"}, Location=f"{server.url}/elsewhere")

    server.answer = answer
    with pytest.raises(InputError, match=f"refuses: {code}") as raised:
        drawn(server, tmp_path / "t.jsonl")
    assert KEY not in str(raised.value) and len(server.asked) == 4
    server.answer = honest
    assert drawn(server, tmp_path / "t.jsonl").n_new == 7


def test_many_failures_in_a_row_end_the_run(server: Server) -> None:
    server.answer = lambda handler, number, body: send(handler, 400, {"error": "bad"})
    with pytest.raises(InputError, match="refuses: 400"):
        drawn(server)
    assert len(server.asked) == 8


def test_a_deadline_holds_for_all_tries_of_a_request_together(server: Server) -> None:
    server.answer = lambda handler, number, body: send(handler, 429, {}, Retry_After="0.3")
    start = time.monotonic()
    with pytest.raises(InputError, match="gave no answer within 0.5 s"):
        drawn(server, n_tries=100, deadline_s=0.5, n_parallel=8)
    assert time.monotonic() - start < 5


def test_a_date_to_try_again_at_is_heeded(server: Server) -> None:
    def answer(handler: BaseHTTPRequestHandler, number: int, body: dict[str, Any]) -> None:
        if number == 1:
            send(handler, 429, {}, Retry_After="Fri, 31 Dec 2999 23:59:59 GMT")
        else:
            honest(handler, number, body)

    server.answer = answer
    with pytest.raises(
        InputError, match=r"1 of 1 samples are missing \(1 samples without a reply \(too late\)\)"
    ):  # its wait would be longer than that
        sample(
            "small",
            QUESTIONS[:1],
            settings=SampleSettings(n_samples=1),
            engine="openai",
            endpoint=Endpoint(url=server.url, wait_s=0.01, deadline_s=1),
            progress=False,
        )
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"choice": {"finish_reason": "length"}}, (5, True)),
        ({"choice": {"finish_reason": None}}, (5, False)),
        ({"choice": {"finish_reason": None}, "usage": {"completion_tokens": 30}}, (30, True)),
        ({"choice": {"finish_reason": "content_filter"}}, (5, True)),
        ({"usage": {"completion_tokens": 10**9}}, (None, False)),
        ({"usage": {"completion_tokens": -3}}, (None, False)),
        ({"usage": {"completion_tokens": True}}, (None, False)),
        ({"usage": "none"}, (None, False)),
        ({"choice": {"finish_reason": 3}}, (5, False)),
    ],
)
def test_of_what_an_endpoint_says_only_what_can_be_is_believed(
    server: Server, changes: dict[str, Any], expected: tuple[int | None, bool]
) -> None:
    server.answer = lambda handler, number, body: send(handler, 200, reply_to(body, **changes))
    assert {(one.n_tokens, one.is_truncated) for one in drawn(server).samples} == {expected}


def test_thoughts_that_are_kept_apart_stand_before_the_answer_and_another_model_is_named(
    server: Server, tmp_path: Path
) -> None:
    message = {"content": "It is 3.", "reasoning_content": "One more."}
    server.answer = lambda handler, number, body: send(
        handler, 200, reply_to(body, choice={"message": message}, model="another")
    )
    result = drawn(server, tmp_path / "t.jsonl")
    assert result.traces[0].text == "<think>\nOne more.\n</think>\n\nIt is 3."
    assert result.samples[4].grade == "right"  # of 2 + 1
    metadata = json.loads((tmp_path / "t.jsonl").read_text().splitlines()[0])["metadata"]
    assert metadata["written_by"] == "another" and metadata["model"] == "small"
    cut_off = {"message": {"content": None, "reasoning_content": "One more."}, "finish_reason": "length"}
    server.answer = lambda handler, number, body: send(handler, 200, reply_to(body, choice=cut_off))
    one = drawn(server)
    assert one.traces[0].text == "<think>\nOne more." and one.samples[0].grade == "wrong"


def test_half_a_surrogate_pair_does_not_spoil_the_file(server: Server, tmp_path: Path) -> None:
    server.answer = lambda handler, number, body: send(
        handler, 200, json.dumps(reply_to(body, choice={"message": {"content": "a\ud83d b"}})).encode()
    )
    drawn(server, tmp_path / "t.jsonl")
    assert read_traces(tmp_path / "t.jsonl")[0].text == "a\N{REPLACEMENT CHARACTER} b"


def test_the_key_is_in_no_file_error_or_log(server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server.answer = lambda handler, number, body: send(
        handler, 200, reply_to(body, choice={"message": {"content": f"My key is {KEY}."}}, model=f"m-{KEY}")
    )
    result = drawn(server, tmp_path / "t.jsonl")
    assert all("My key is (key)" in trace.text for trace in result.traces)
    server.answer = lambda handler, number, body: send(handler, 401, {"error": f"wrong key {KEY}"})
    with pytest.raises(InputError) as raised:
        drawn(server, tmp_path / "u.jsonl")
    shown = [str(raised.value), caplog.text, repr(Endpoint(url=server.url, key_variable="MY_KEY")), repr(result)]
    written = [file.read_text() for file in tmp_path.iterdir()]
    assert len(written) == 2 and not any(KEY in text for text in [*shown, *written])


def test_an_interrupt_keeps_what_came(server: Server, tmp_path: Path) -> None:
    """A reply that arrives while the run is being stopped is kept too."""

    def answer(handler: BaseHTTPRequestHandler, number: int, body: dict[str, Any]) -> None:
        if number == 2:
            send(handler, 404, {})
        else:
            honest(handler, number, body)

    server.answer = answer
    with pytest.raises(InputError, match="refuses: 404"):
        drawn(server, tmp_path / "t.jsonl", n_parallel=1)
    server.answer, n_before = honest, len(server.asked)
    result = drawn(server, tmp_path / "t.jsonl")
    assert result.n_new == 9 and len(server.asked) - n_before == 9


def test_further_fields_are_sent_and_others_left_out(server: Server) -> None:
    drawn(server, options={"max_tokens": None, "max_completion_tokens": 9, "seed": None})
    body = server.asked[0]
    assert "max_tokens" not in body and "seed" not in body and body["max_completion_tokens"] == 9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "host"}, "an endpoint's address begins with http"),
        ({"url": "https://key@host/v1"}, "leave it out, and give the key in an environment variable"),
        ({"url": "http://h/v1", "n_parallel": 0}, "n_parallel"),
        ({"url": "http://h/v1", "deadline_s": 0}, "deadline_s"),
        ({"url": "http://h/v1", "options": {"messages": []}}, "which are sent anyway"),
        ({"url": "http://h/v1", "key_variable": " "}, "key_variable is empty"),
    ],
)
def test_what_is_no_endpoint_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Endpoint(**options)


def test_an_endpoint_and_the_name_of_a_model_are_needed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="needs an endpoint: give --url"):
        sample("small", QUESTIONS, engine="openai", progress=False)
    with pytest.raises(InputError, match="is a name, as the endpoint calls it"):
        sample(3, QUESTIONS, engine="openai", endpoint=Endpoint(url=server.url), progress=False)  # type: ignore[arg-type]
    monkeypatch.setenv("MY_KEY", "two words")
    with pytest.raises(InputError, match="the key in MY_KEY holds a space"):
        drawn(server)


def test_the_seed_of_a_sample_does_not_depend_on_the_others(server: Server) -> None:
    drawn(server)
    first = {body["messages"][-1]["content"]: body["seed"] for body in server.asked[::2]}
    server.asked.clear()
    endpoint = Endpoint(url=server.url, n_parallel=1)
    sample("small", QUESTIONS[3:], settings=SETTINGS, engine="openai", endpoint=endpoint, progress=False)
    assert server.asked[0]["seed"] == first["What is 3 + 1?"] != sample_seed(4, 0)
