"""Labels of several annotators in the metadata of a trace: read back as written, disputed, by majority, by a person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reasonlens.rundir import InputError
from reasonlens.traces import Span, Trace, read_traces
from reasonlens.traces.annotators import label_of, over_sentences, segmented
from reasonlens.traces.labelled import LabelledTrace, metadata_by_id, read_labelled, write_labelled

TEXT = "So it is 4. Wait, no. Check it."
SENTENCES = ((0, 11), (12, 21), (22, 31))
BY = {"a": ("x", "y", ""), "b": ("x", "z", None), "c": ("w", "z", "")}


def labelled(**changed: Any) -> LabelledTrace:
    parts = {
        "trace": Trace("t", "p", TEXT),
        "sentences": SENTENCES,
        "by": BY,
        "spans_by": "a",
        "low_agreement": ("x", "q"),
        "structured": ("b",),
    }
    return LabelledTrace(**parts | {"metadata": {"grade": True}} | changed)


def test_a_file_of_labels_is_read_back_exactly_and_its_spans_are_those_taken(tmp_path: Path) -> None:
    trace = labelled().with_spans({"x": ("so",), "y": ("hmm",)})
    write_labelled([trace], tmp_path / "l.jsonl")
    (again,) = read_labelled(tmp_path / "l.jsonl")
    assert again == LabelledTrace(trace.trace, SENTENCES, BY, "a", ("x",), ("b",), {"grade": True})
    assert list(read_traces(tmp_path / "l.jsonl")) == [trace.trace]
    assert trace.trace.spans == (Span(0, 11, "x", True), Span(12, 21, "y", False))
    content = json.loads((tmp_path / "l.jsonl").read_text())["metadata"]
    assert content["labels"]["disputed"] == [0, 1] and content["grade"] is True
    assert content["labels"]["structured_outputs"] == ["b"]
    assert metadata_by_id(tmp_path / "l.jsonl") == {"t": {"grade": True}}


@pytest.mark.parametrize(
    ("taken", "labels"), [("a", ("x", "y", "")), ("b", ("x", "z", None)), ("majority", ("x", "z", ""))]
)
def test_labels_are_those_of_the_annotator_or_of_most(taken: str, labels: tuple[str | None, ...]) -> None:
    assert labelled(spans_by=taken).labels == labels


def test_of_two_labels_given_as_often_the_first_annotators_counts() -> None:
    assert labelled(by={"a": BY["a"], "b": BY["b"]}, spans_by="majority").labels == ("x", "y", "")


def test_a_persons_label_stands_above_every_other_also_where_it_is_none() -> None:
    person = BY | {"person": (None, "", "v")}
    assert labelled(by=person).labels == ("x", "", "v") and labelled(by=person, spans_by="majority").labels[1] == ""
    assert labelled(by=person).disputed == (0, 1, 2)


def test_labels_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has 3 sentences, and 'a' labels 1"):
        labelled(by={"a": ("x",)})
    with pytest.raises(InputError, match="takes the labels of 'd', who gave none"):
        labelled(spans_by="d")
    path = tmp_path / "l.jsonl"
    for spoil, message in (
        (lambda labels: None, "holds no labels of annotators; label the file first"),
        (lambda labels: labels | {"by": 3}, "its by is a whole number"),
        (lambda labels: labels | {"by": {"a": [1, 2, 3]}}, "its labels are damaged"),
        (lambda labels: labels | {"sentences": [[0, 99]] * 3}, "a sentence does not lie in the text"),
        (lambda labels: labels | {"sentences": [[0]] * 3}, "its labels are damaged"),
    ):
        row = labelled().to_row()
        row["metadata"]["labels"] = spoil(row["metadata"]["labels"])
        path.write_text(json.dumps(row) + "\n")
        with pytest.raises(InputError, match=f"l.jsonl, line 1.*{message}"):
            read_labelled(path)
    path.write_text("")
    with pytest.raises(InputError, match="holds no traces"):
        read_labelled(path)
    with pytest.raises(InputError, match="cannot read labelled traces"):
        read_labelled(tmp_path / "none.jsonl")


@pytest.mark.parametrize(
    ("sentence", "label"),
    [((0, 10), "a"), ((5, 15), "a"), ((6, 16), "b"), ((28, 36), ""), ((20, 30), "b"), ((40, 50), "")],
)
def test_a_sentence_takes_the_label_of_the_span_that_covers_at_least_half(sentence, label: str) -> None:
    assert label_of(sentence, [Span(0, 10, "a"), Span(10, 30, "b")]) == label


def test_only_thoughts_are_divided_where_there_are_some() -> None:
    text = "<think>So it is. Wait.</think>The answer is 4. Done."
    document = segmented(Trace("t", "", text), thoughts_only=True)
    assert [text[start:end] for start, end in document.sentences] == ["So it is.", "Wait."]
    assert len(segmented(Trace("t", "", text)).sentences) == 4
    assert len(segmented(Trace("t", "", "So it is. Wait."), thoughts_only=True).sentences) == 2
    assert len(segmented(Trace("t", "", text), min_words=3).sentences) == 2
    (labels,) = over_sentences(lambda prompt, text: [Span(7, 16, "deduction")])([document])
    assert labels.labels == ("deduction", "")
