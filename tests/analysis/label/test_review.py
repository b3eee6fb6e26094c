"""The review of labels: corrections that are saved, what comes first, and a server that answers its own page only."""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from reasonlens import InputError, Span, Trace, label, label_review, read_traces
from reasonlens.analysis.label.review import Review, open_review
from reasonlens.analysis.label.server import ReviewServer
from reasonlens.traces.corrections import corrections_of
from reasonlens.traces.labelled import read_labelled

EVIL = "</script><img src=x onerror=alert(1)>"


def opposite(prompt: str, text: str) -> list[Span]:
    """Call whatever begins with So a verification, and say nothing else."""
    return [Span(0, text.index(".") + 1, "verification")] if text.startswith("So") else []


@pytest.fixture
def file(tmp_path: Path) -> Path:
    texts = ["It is 4. Then stop.", f"So it is 🙂 {EVIL}. Check it."]
    traces = [Trace(f"t{number}", f"What? {EVIL}", text) for number, text in enumerate(texts)]
    label(traces, ["keywords", opposite], out=tmp_path / "l.jsonl", progress=False)
    return tmp_path / "l.jsonl"


@pytest.fixture
def review(file: Path) -> Iterator[Review]:
    with open_review(file) as opened:
        yield opened


@pytest.fixture
def server(review: Review) -> Iterator[ReviewServer]:
    served = ReviewServer(review)
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    served.shutdown()
    thread.join()
    served.server_close()


class Place(NamedTuple):
    """Where a review is served that another thread has opened."""

    server_port: int
    address: str


def ask(
    server: ReviewServer | Place, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.putrequest(method, path, skip_host="Host" in names)
    if body is not None:
        names = {"Content-Type": "application/json", "Content-Length": str(len(body))} | names
    for name, value in names.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    content = answer.read().decode()
    connection.close()
    return answer.status, dict(answer.headers), content


def session(server: ReviewServer | Place) -> dict[str, str]:
    code, headers, _ = ask(server, "GET", server.address.partition(str(server.server_port))[2])
    assert code == 303 and headers["Location"] == "/"
    assert "HttpOnly" in headers["Set-Cookie"] and "SameSite=Strict" in headers["Set-Cookie"]
    return {"Cookie": headers["Set-Cookie"].split(";")[0], "Origin": f"http://127.0.0.1:{server.server_port}"}


def correction(**changed: Any) -> bytes:
    return json.dumps({"place": 1, "sentence": 0, "label": "backtracking"} | changed).encode()


def test_traces_with_sentences_in_dispute_come_first_until_a_person_has_labelled_them(review: Review) -> None:
    assert [(row["place"], row["n_open"]) for row in review.overview()["traces"]] == [(1, 2), (0, 1)]
    review.correct(1, 0, "deduction")
    review.correct(1, 1, "")
    assert [(row["place"], row["n_open"]) for row in review.overview()["traces"]] == [(0, 1), (1, 0)]
    names = [row["name"] for row in review.overview()["behaviours"]]
    assert names[0] == "initializing" and len(names) == 8


def test_a_correction_is_saved_at_once_as_the_labels_of_a_person_and_the_spans_follow(review: Review) -> None:
    review.correct(1, 0, "backtracking")
    (_, saved) = read_labelled(review.file)
    assert saved.by["person"] == ("backtracking", None) and saved.by["keywords"] == ("deduction", "verification")
    assert [span.label for span in saved.trace.spans] == ["backtracking", "verification"]
    assert saved.trace.spans[0].marked is False
    review.correct(1, 1, "")
    assert [span.label for span in read_traces(review.file)[1].spans] == ["backtracking"]
    review.correct(1, 0, None)
    assert [span.label for span in read_traces(review.file)[1].spans] == ["deduction"]
    assert review.n_reviewed == 1


@pytest.mark.parametrize(
    ("place", "sentence", "name", "message"),
    [
        (9, 0, "deduction", "there is no trace 9; there are 2"),
        (-1, 0, "deduction", "there is no trace -1"),
        (1, 2, "deduction", "has no sentence 2"),
        (1, True, "deduction", "has no sentence True"),
        (1, 0, "nonsense", "there is no behaviour 'nonsense'"),
    ],
)
def test_what_is_no_correction_changes_nothing(review: Review, place, sentence, name: str, message: str) -> None:
    before = read_labelled(review.file)
    with pytest.raises(InputError, match=message):
        review.correct(place, sentence, name)
    assert read_labelled(review.file) == before


def test_a_correction_that_cannot_be_written_is_not_held_either(review: Review, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise InputError("cannot write: disk full")

    monkeypatch.setattr("reasonlens.traces.corrections.CorrectionLog.add", full)
    with pytest.raises(InputError, match="disk full"):
        review.correct(1, 0, "backtracking")
    assert review.n_reviewed == 0 and review.trace(1)["sentences"][0]["label"] == "deduction"


def test_a_correction_costs_a_line_and_not_the_file(review: Review) -> None:
    before = review.file.read_bytes()
    for number in range(20):
        review.correct(1, number % 2, "backtracking")
    lines = corrections_of(review.file).read_bytes().splitlines()
    assert review.file.read_bytes() == before and len(lines) == 20 and max(map(len, lines)) < 300


@pytest.mark.parametrize("torn", [b"", b'{"place": 1, "id": "t1", "sente'])
def test_a_review_that_is_killed_loses_nothing(file: Path, tmp_path: Path, torn: bytes) -> None:
    with open_review(file) as review:
        review.correct(1, 0, "backtracking")
        review.correct(0, 0, "deduction")
        review.correct(1, 1, "")
        killed = tmp_path / "killed.jsonl"  # the files as a kill leaves them
        killed.write_bytes(file.read_bytes())
        corrections_of(killed).write_bytes(corrections_of(file).read_bytes() + torn)
    assert not corrections_of(file).exists(), "the end of a review writes the file"
    labels, expected = ([trace.by for trace in read_labelled(one)] for one in (killed, file))
    assert labels == expected and read_traces(killed) == read_traces(file)
    assert killed.read_bytes() != file.read_bytes()
    with open_review(killed) as review:
        assert review.n_reviewed == 3
        review.correct(0, 1, "deduction")
        assert read_traces(killed)[0].spans[1].label == "deduction"
    assert not corrections_of(killed).exists()
    assert [trace.by["person"] for trace in read_labelled(killed)] == [("deduction", "deduction"), ("backtracking", "")]


def test_labels_that_are_made_again_take_over_what_a_killed_review_left(file: Path, tmp_path: Path) -> None:
    with open_review(file) as review:
        review.correct(1, 0, "backtracking")
        lines = corrections_of(file).read_bytes()
        traces = [replace(trace.trace, spans=()) for trace in review.traces]
    label(traces, ["keywords", opposite], out=tmp_path / "again.jsonl", progress=False)
    again = tmp_path / "again.jsonl"
    corrections_of(again).write_bytes(lines)
    label(traces, "keywords", out=again, progress=False)
    assert not corrections_of(again).exists()
    assert read_labelled(again)[1].by == {"keywords": ("deduction", "verification"), "person": ("backtracking", None)}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"place": 1, "id": "t7", "sentence": 0, "label": "", "spans": []}', "corrections of another file"),
        (b'{"place": 7, "id": "t1", "sentence": 0, "label": "", "spans": []}', "corrections of another file"),
        (b'{"place": 1, "id": "t1", "sentence": 9, "label": "", "spans": []}', "has no sentence 9"),
        (b'{"place": 1, "id": "t1", "sentence": 0, "label": 4, "spans": []}', "4 is no label"),
        (b'{"place": 1, "id": "t1", "sentence": 0, "label": ""}', "line 1 is damaged: its spans is missing"),
        (b"{", "line 1"),
    ],
)
def test_damaged_corrections_are_refused_by_name(file: Path, line: bytes, message: str) -> None:
    corrections_of(file).write_bytes(line + b"\n")
    with pytest.raises(InputError, match=message):
        read_labelled(file)


def test_one_file_is_reviewed_by_one_process_and_only_if_it_is_labelled(review: Review, tmp_path: Path) -> None:
    bare = [replace(trace.trace, spans=()) for trace in review.traces]
    with pytest.raises(InputError, match="l.jsonl is being written by"), open_review(review.file):
        pass
    with pytest.raises(InputError, match="is being written by"):
        label(bare, ["keywords", opposite], out=review.file, progress=False)
    (tmp_path / "bare.jsonl").write_text('{"id": "a", "prompt": "", "text": "So.", "spans": []}\n')
    with pytest.raises(InputError, match="holds no labels of annotators; label the file first"):
        label_review(tmp_path / "bare.jsonl", browser=False)


def test_the_address_works_once_and_opens_a_page_that_may_load_nothing(server: ReviewServer) -> None:
    address = server.address.partition(str(server.server_port))[2]
    held = session(server)
    assert ask(server, "GET", address)[0] == 403, "the token works once"
    code, headers, page = ask(server, "GET", "/", **held)
    assert code == 200 and EVIL not in page and not re.search("https?://", page)
    policy = headers["Content-Security-Policy"]
    (nonce,) = re.findall(r"script-src 'nonce-([\w-]+)'", policy)
    assert policy.startswith("default-src 'none'") and f'<script nonce="{nonce}">' in page
    assert "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"
    assert nonce not in ask(server, "GET", "/", **held)[1]["Content-Security-Policy"]


def test_without_the_cookie_nothing_is_told_or_changed(server: ReviewServer) -> None:
    held = session(server)
    before = read_labelled(server.review.file)
    for headers in ({}, {"Cookie": f"{server.cookie}=x"}, {"Cookie": f"other={server.session}"}, {"Cookie": '"[\x01'}):
        for method, path, body in (
            ("GET", "/", None),
            ("GET", "/overview", None),
            ("GET", "/trace?place=0", None),
            ("POST", "/correct", correction()),
            ("POST", "/end", b"{}"),
            ("GET", "/?token=wrong", None),
            ("GET", "/?token=%C3%A9", None),
        ):
            code, _, content = ask(server, method, path, body, **({"Origin": held["Origin"]} | headers))
            assert code == 403 and "t0" not in content and server.session not in content
    assert read_labelled(server.review.file) == before


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1", ""])
def test_a_request_to_another_name_is_refused_even_with_the_cookie(server: ReviewServer, host: str) -> None:
    held = session(server)
    assert ask(server, "GET", "/overview", Host=host, **held)[0] == 403
    assert ask(server, "GET", "/overview", Host=f"localhost:{server.server_port}", **held)[0] == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1", None])
def test_only_the_page_itself_may_change_something(server: ReviewServer, origin: str | None) -> None:
    held = session(server)
    before = read_labelled(server.review.file)
    headers = {"Cookie": held["Cookie"]} | ({} if origin is None else {"Origin": origin})
    assert ask(server, "POST", "/correct", correction(), **headers)[0] == 403
    assert read_labelled(server.review.file) == before


def test_a_correction_by_http_is_saved_and_answered_with_the_trace(server: ReviewServer) -> None:
    held = session(server)
    overview = json.loads(ask(server, "GET", "/overview", **held)[2])
    assert overview["traces"][0]["id"] == "t1"
    shown = json.loads(ask(server, "GET", "/trace?place=1", **held)[2])
    assert shown["text"].startswith("So it is 🙂 </script>") and shown["sentences"][0]["is_open"]
    code, _, content = ask(server, "POST", "/correct", correction(), **held)
    answer = json.loads(content)
    assert code == 200 and answer["trace"]["sentences"][0]["label"] == "backtracking"
    assert answer["n_reviewed"] == 1 and answer["counts"] == server.review.counts(1)
    assert read_labelled(server.review.file)[1].by["person"][0] == "backtracking"


@pytest.mark.parametrize(
    ("path", "body", "headers", "code"),
    [
        ("/correct", b"{", {}, 400),
        ("/correct", b"[]", {}, 400),
        ("/correct", b"[" * 9000, {}, 400),
        ("/correct", b"{}", {}, 400),
        ("/correct", correction(label=3), {}, 400),
        ("/correct", correction(label="nonsense"), {}, 400),
        ("/correct", correction(place="1"), {}, 400),
        ("/correct", correction(), {"Content_Type": "text/plain"}, 400),
        ("/correct", b"x" * 20_000, {}, 413),
        ("/correct", b"{}", {"Content_Length": "-1"}, 413),
        ("/nothing", b"{}", {}, 404),
    ],
)
def test_a_malformed_request_is_refused_in_a_line(server: ReviewServer, path: str, body: bytes, headers, code) -> None:
    held = session(server)
    before = read_labelled(server.review.file)
    status, _, content = ask(server, "POST", path, body, **held, **headers)
    assert status == code and "\n" not in content and "Traceback" not in content
    for wrong in ("/trace", "/trace?place=x", "/trace?place=7", "/trace?place=-1"):
        assert ask(server, "GET", wrong, **held)[0] == 400
    assert read_labelled(server.review.file) == before


def test_corrections_at_the_same_time_are_all_kept(server: ReviewServer) -> None:
    held = session(server)
    names = ["backtracking", "deduction"]
    bodies = [correction(place=place, sentence=s, label=names[s]) for place in (0, 1) for s in (0, 1)]
    threads = [threading.Thread(target=ask, args=(server, "POST", "/correct", body), kwargs=held) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [trace.by["person"] for trace in read_labelled(server.review.file)] == [tuple(names)] * 2


def test_the_page_ends_the_review_and_the_number_of_reviewed_sentences_is_returned(file: Path, monkeypatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    counts: list[int] = []
    thread = threading.Thread(target=lambda: counts.append(label_review(file)))
    thread.start()
    while not opened:
        thread.join(0.02)
    port = int(re.findall(r":(\d+)/", opened[0])[0])

    place = Place(port, opened[0])
    held = session(place)
    assert ask(place, "POST", "/correct", correction(), **held)[0] == 200
    assert ask(place, "POST", "/end", b"{}", **held)[0] == 200
    thread.join(10)
    assert counts == [1] and not list(file.parent.glob("*.lock"))


def test_a_port_in_use_is_said_in_a_line(server: ReviewServer, file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_bytes(file.read_bytes())
    with pytest.raises(InputError, match=f"cannot serve at port {server.server_port} of 127.0.0.1"):
        label_review(other, port=server.server_port, browser=False)


def test_a_label_of_no_behaviour_set_can_be_chosen_where_it_occurs(file: Path, tmp_path: Path) -> None:
    traces = [replace(trace, spans=(Span(0, 5, "own"),)) for trace in read_traces(file)]
    label(traces, "spans", out=tmp_path / "own.jsonl", progress=False)
    with open_review(tmp_path / "own.jsonl") as review:
        review.correct(0, 1, "own")
    assert read_labelled(tmp_path / "own.jsonl")[0].by["person"] == (None, "own")
