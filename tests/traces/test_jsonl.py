from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reasonlens import (
    InputError,
    Span,
    Trace,
    read_traces,
    write_traces,
)
from reasonlens.traces import digest
from reasonlens.traces.sources import resolve_traces

GOOD = {"id": "a", "prompt": "p", "text": "Some text", "spans": [{"start": 0, "end": 4, "label": "deduction"}]}


def test_what_is_written_is_read_back_equal(tmp_path: Path) -> None:
    traces = [
        Trace(
            "a", "Prompt – é", "Text with\nlines  and “quotes”.", (Span(0, 4, "x", True), Span(5, 9, "y", False)), "g"
        ),
        Trace("b", "Other", "Plain.", (Span(0, 5, "x"),)),
        Trace("c", "Odd \u2028 breaks", "in\x85side \x0b and \x0c out\u2029.", (Span(0, 5, "x"),)),
    ]
    write_traces(traces, tmp_path / "t.jsonl")
    assert read_traces(tmp_path / "t.jsonl") == traces
    assert digest(read_traces(tmp_path / "t.jsonl")) == digest(traces) != digest(traces[:1])


def test_lines_in_the_annotated_form_are_read_too(tmp_path: Path) -> None:
    row = {"id": 7, "prompt": "p", "annotated": '["deduction"] So it is. ["end-section"]'}
    (tmp_path / "t.jsonl").write_text(json.dumps(row) + "\n\n")
    (trace,) = read_traces(tmp_path / "t.jsonl")
    assert (trace.id, trace.text, trace.spans) == ("7", "So it is.", (Span(0, 9, "deduction"),))


def test_metadata_is_free_and_null_is_nothing(tmp_path: Path) -> None:
    row = GOOD | {"metadata": {"temperature": 0.6, "of": ["any", None]}, "problem": None, "annotated": None}
    (tmp_path / "t.jsonl").write_text(json.dumps(row))
    (trace,) = read_traces(tmp_path / "t.jsonl")
    assert (trace.id, trace.problem, trace.spans) == ("a", "p", (Span(0, 4, "deduction"),))


def test_an_annotated_line_without_a_known_label_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [
        {"id": "lost", "prompt": "p", "annotated": "[musing] So it is. [end-section]"},
        {"id": "plain", "prompt": "p", "annotated": "So it is."},
        {"id": "bare", "prompt": "p", "annotated": "[deduction] So it is. [end-section]"},
    ]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with caplog.at_level("WARNING", logger="reasonlens"):
        assert [len(trace.spans) for trace in read_traces(tmp_path / "t.jsonl")] == [0, 0, 1]
    assert len(caplog.messages) == 1 and "trace lost: sections end" in caplog.messages[0]


def test_a_problem_numbered_zero_is_a_problem(tmp_path: Path) -> None:
    rows = [GOOD | {"id": str(number), "prompt": f"p{number}", "problem": number // 2} for number in range(4)]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert [trace.problem for trace in read_traces(tmp_path / "t.jsonl")] == ["0", "0", "1", "1"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{nonsense", "line 2: not valid JSON"),
        ("[1, 2]", "line 2: expected a JSON object, found list"),
        (json.dumps({"id": "b", "prompt": "p", "text": "t"}), "line 2: 'spans' is missing"),
        (
            json.dumps(GOOD | {"id": "b", "probelm": "x"}),
            "line 2: there is no key 'probelm'; did you mean 'problem'\\? The keys are id, .*goes into 'metadata'",
        ),
        (json.dumps(GOOD | {"id": "b", "zzz": 1}), "line 2: there is no key 'zzz'. The keys are id"),
        (
            json.dumps(GOOD | {"id": "b", "spans": [{"start": 0, "end": 4, "label": "x", "marke": True}]}),
            "line 2: there is no key 'marke'; did you mean 'marked'\\? The keys are start, end, label, marked",
        ),
        (json.dumps(GOOD | {"id": "b", "problem": True}), "line 2: 'problem' must be str or int, found True"),
        (json.dumps(GOOD | {"id": True}), "line 2: 'id' must be str or int, found True"),
        (
            json.dumps(GOOD | {"id": "b", "annotated": "x"}),
            "line 2: 'annotated' stands in place of 'text' and 'spans', and there is 'text' too",
        ),
        (json.dumps(GOOD | {"id": "b", "text": 3}), "line 2: 'text' must be str, found 3"),
        (json.dumps(GOOD | {"id": "b", "spans": ["x"]}), "line 2: a span must be an object"),
        (
            json.dumps(GOOD | {"id": "b", "spans": [{"start": "0", "end": 4, "label": "x"}]}),
            "line 2: 'start' must be int, found '0'",
        ),
        (
            json.dumps(GOOD | {"id": "b", "spans": [{"start": 0, "end": 99, "label": "x"}]}),
            "line 2: trace 'b': span 0..99",
        ),
        (json.dumps(GOOD), "line 2: the id 'a' stands already on line 1"),
        (json.dumps(GOOD | {"id": "b", "problem": [1]}), "line 2: 'problem' must be str or int"),
        (json.dumps(GOOD | {"id": "b", "text": "cut \ud83d emoji"}), "line 2: 'text' holds half of a surrogate pair"),
    ],
)
def test_a_bad_line_is_named_by_its_number(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + line + "\n")
    with pytest.raises(InputError, match=f"bad.jsonl, {message}"):
        read_traces(path)


def test_an_empty_or_missing_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(InputError, match="empty.jsonl holds no traces"):
        read_traces(tmp_path / "empty.jsonl")
    with pytest.raises(InputError, match="cannot read traces from .*absent.jsonl"):
        read_traces(tmp_path / "absent.jsonl")


@pytest.mark.parametrize(
    "row", [{"id": "a", "k" * 10**5: 1}, {"id": "a", "text": "b", "spans": ["s" * 10**5]}, {"x" * 10**5: 1}]
)
def test_a_message_names_no_more_than_the_beginning_of_what_is_long(row: dict[str, object]) -> None:
    with pytest.raises(InputError) as error:
        resolve_traces([row])
    assert len(str(error.value)) < 1000


def test_rows_of_a_data_frame_are_read_as_those_of_json() -> None:
    row = GOOD | {"id": np.int64(3), "spans": ({"start": np.int32(0), "end": np.int64(4), "label": "deduction"},)}
    (trace,) = resolve_traces([row])
    (expected,) = resolve_traces([GOOD | {"id": 3}])
    assert trace == expected and type(trace.spans[0].start) is int
    with pytest.raises(InputError, match="'id' must be str or int, found np.True_"):
        resolve_traces([GOOD | {"id": np.bool_(True)}])
