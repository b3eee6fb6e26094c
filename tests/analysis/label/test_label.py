"""Labelling: known labels are recovered, agreement is that of scikit-learn, and calls resume without asking twice."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from reasonlens import InputError, Labelling, Span, Trace, bundled_traces, label, read_traces
from reasonlens.analysis.label.agreement import agreement_rows, share_rows
from reasonlens.organisms import organisms_traces
from reasonlens.traces.labelled import read_labelled, write_labelled
from tests.traces.test_endpoint_annotator import lines
from tests.traces.test_judge import Endpoint, Reply, endpoint, said

__all__ = ["endpoint"]  # the fixture


def test_rules_recover_the_exact_labels_of_organisms_and_agree_with_the_spans() -> None:
    traces = organisms_traces("organism/rl-timing", 12, seed=3)
    bare = [replace(trace, spans=()) for trace in traces]
    result = label(bare, "rules", progress=False)
    assert [trace.text for trace in result.traces] == [trace.text for trace in traces]
    for trace, labelled in zip(traces, result.traces, strict=True):
        assert [(s.start, s.end, s.label) for s in labelled.spans] == [(s.start, s.end, s.label) for s in trace.spans]
    both = label(traces, ["spans", "rules"], progress=False)
    assert both.n_disputed == 0 and (both.agreement["value"] == 1).all() and not both.low_agreement
    with pytest.raises(InputError, match="puts no problem of the organisms"):
        label([Trace("t", "What is 2?", "It is 2.")], "rules", progress=False)


def test_kappa_of_keywords_with_the_bundled_labels_is_scikit_learns() -> None:
    result = label("bundled", ["spans", "keywords"], progress=False)
    assert result.labelled is not None
    columns = [[name for trace in result.labelled for name in trace.by[by]] for by in ("spans", "keywords")]
    row = result.agreement.iloc[0]
    assert row["value"] == pytest.approx(cohen_kappa_score(*columns)) and row["n_problems"] == 76
    assert row["value_low"] < row["value"] < row["value_high"] and row["value"] == pytest.approx(0.374, abs=0.001)
    assert row["same"] == pytest.approx(np.mean(np.array(columns[0]) == np.array(columns[1])))
    assert result.n_disputed == sum(one != other for one, other in zip(*columns, strict=True))
    assert "backtracking" in result.low_agreement


def test_shuffled_labels_agree_by_chance() -> None:
    rng = np.random.default_rng(0)
    true = rng.choice(["a", "b", "c"], 900).tolist()
    by = {"first": true, "second": rng.permutation(true).tolist(), "third": rng.permutation(true).tolist()}
    problems = [f"p{number // 3}" for number in range(900)]
    for row in agreement_rows(by, problems, ["a", "b"]):
        assert row["value_low"] <= 0 <= row["value_high"] and row["n_problems"] == 300
    coefficients = [row["coefficient"] for row in agreement_rows(by, problems, ["a", "b"])]
    assert coefficients == ["Cohen's kappa"] * 3 + ["Fleiss' kappa"] + ["Krippendorff's alpha"] * 3


def test_what_is_not_known_counts_neither_as_a_label_nor_as_disagreement() -> None:
    by = {"a": ["x", "y", None, "x"], "b": ["x", "y", "x", None], "person": [None, "x", None, None]}
    rows = agreement_rows(by, ["1", "2", "3", "4"], ["x"])
    assert [(row["annotators"], row["value"], row["n_sentences"]) for row in rows[:1]] == [("a, b", 1, 2)]
    assert {row["annotators"] for row in rows[3:]} == {"a, b"}, "a person stands in pairs only"
    shares = share_rows(by, ["1", "2", "3", "4"], ["x", "y", ""])
    assert [(row["n_sentences"], row["n_unknown"]) for row in shares[:3]] == [(2, 1), (1, 1), (0, 1)]
    assert shares[0]["share"] == pytest.approx(2 / 3)


def test_low_agreement_is_marked_in_the_file_and_in_the_result(tmp_path: Path) -> None:
    def noisy(prompt: str, text: str) -> list[Span]:
        """Agree on what begins with So, and on nothing else."""
        return [Span(0, len(text), "a" if text.startswith("So") else "bc"[int(prompt) % 2])]

    traces = [Trace(f"t{n}", str(n), "So it is four here." if n < 20 else "It is something else.") for n in range(40)]
    result = label(traces, [lambda p, t: noisy("0", t), noisy], out=tmp_path / "l.jsonl", progress=False)
    assert result.low_agreement == ("b", "c")
    rows = [json.loads(line)["metadata"]["labels"] for line in (tmp_path / "l.jsonl").read_text().splitlines()]
    assert rows[0]["low_agreement"] == [] and rows[20]["low_agreement"] == ["b"]
    assert rows[20]["disputed"] == [] and rows[21]["disputed"] == [0]


@pytest.mark.parametrize("take", [None, "keywords", "majority"])
def test_the_file_holds_every_annotators_labels_and_the_spans_of_the_one_taken(tmp_path: Path, take) -> None:
    own = bundled_traces()[:5]
    (tmp_path / "in.jsonl").write_text(
        "".join(
            json.dumps({"id": t.id, "prompt": t.prompt, "text": t.text, "spans": [], "metadata": {"n": n}}) + "\n"
            for n, t in enumerate(own)
        )
    )
    result = label(tmp_path / "in.jsonl", "keywords", take=take, out=tmp_path / "out.jsonl", progress=False)
    labelled = read_labelled(tmp_path / "out.jsonl")
    assert [trace.metadata for trace in labelled] == [{"n": n} for n in range(5)], "what the file held beside is kept"
    assert read_traces(tmp_path / "out.jsonl") == result.traces
    for trace in labelled:
        assert [span.label for span in trace.trace.spans] == [name for name in trace.by["keywords"] if name]
        assert all(span.marked for span in trace.trace.spans)
    assert Labelling.from_dict(json.loads((tmp_path / "out.jsonl.label" / "results.json").read_text())).n_traces == 5


def test_a_call_that_is_cut_off_goes_on_where_it_was_and_writes_the_same_bytes(tmp_path: Path) -> None:
    texts = [Trace(f"t{n}", f"p{n}", "So it is 4. Wait, no. Check it.") for n in range(6)]
    seen: list[str] = []

    def annotator(cut_at: int) -> Callable[[str, str], list[Span]]:
        def labels(prompt: str, text: str) -> list[Span]:
            if prompt == f"p{cut_at}":
                raise KeyboardInterrupt
            seen.append(prompt)
            return [Span(0, 11, "deduction")]

        labels.__qualname__ = "labels"
        return labels

    label(texts, annotator(9), out=tmp_path / "whole.jsonl", progress=False)
    seen.clear()
    with pytest.raises(KeyboardInterrupt):
        label(texts, annotator(4), out=tmp_path / "cut.jsonl", progress=False)
    assert seen == ["p0", "p1", "p2", "p3"] and not (tmp_path / "cut.jsonl").exists()
    label(texts, annotator(9), out=tmp_path / "cut.jsonl", progress=False)
    assert seen == ["p0", "p1", "p2", "p3", "p4", "p5"]
    assert (tmp_path / "cut.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    results = [(tmp_path / f"{name}.jsonl.label" / "results.json").read_bytes() for name in ("cut", "whole")]
    assert results[0] == results[1]


def test_another_annotator_is_added_without_asking_the_endpoint_again(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.reply = lambda number, text: said("\n".join(lines(text)))
    traces = [Trace(f"t{n}", f"p{n}", "First we need it. Wait, no. It is 4.") for n in range(3)]
    options = {"behaviours": "cognitive", "url": endpoint.url, "out": tmp_path / "l.jsonl", "progress": False}
    first = label(traces, "endpoint:m", **options)
    assert [span.label for span in first.traces[0].spans] == ["subgoal-setting", "backtracking"]
    assert len(endpoint.asked) == 3 and first.n_malformed == {}
    both = label(traces, ["keywords", "endpoint:m"], **options)
    assert len(endpoint.asked) == 3 and both.annotators == ("keywords", "endpoint:m")
    label(traces, ["keywords", "endpoint:other"], **options)
    assert len(endpoint.asked) == 6
    text = "".join(path.read_text() for path in (tmp_path / "l.jsonl.label").glob("*.json*"))
    assert endpoint.url not in text or "key" in text


def test_what_limits_a_reply_is_sent_and_decides_which_replies_count(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.reply = lambda number, text: said("\n".join(lines(text)))
    trace = Trace("t", "p", "First we need it. Wait, no.")
    options = {"behaviours": "cognitive", "url": endpoint.url, "out": tmp_path / "l.jsonl", "progress": False}
    for n_tokens in (99, 99, 98):
        label([trace], "endpoint:m", reply_tokens=n_tokens, **options)
    assert [body["max_tokens"] for _, _, body in endpoint.asked] == [99, 98]


def test_structured_outputs_are_recorded_with_the_labels_and_are_another_question(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    def reply(number: int, text: str) -> Reply:
        is_held = "response_format" in endpoint.asked[-1][2]
        return said('{"1": "verification", "2": "none"}' if is_held else "1: backtracking\n2: none")

    endpoint.reply = reply
    trace = Trace("t", "p", "First we need it. Wait, no.")
    options = {"url": endpoint.url, "out": tmp_path / "l.jsonl", "progress": False}
    for is_held, label_of_first, n_asked in (
        (False, "backtracking", 1),
        (True, "verification", 2),
        (False, "backtracking", 2),
    ):
        result = label([trace], ["keywords", "endpoint:m"], structured_outputs=is_held, **options)
        assert result.labelled is not None and result.labelled[0].by["endpoint:m"] == (label_of_first, "")
        names = ("endpoint:m",) if is_held else ()
        assert result.structured == names and len(endpoint.asked) == n_asked, "nothing is asked twice"
        assert read_labelled(tmp_path / "l.jsonl")[0].structured == names
        stored = json.loads((tmp_path / "l.jsonl.label" / "results.json").read_text())
        assert Labelling.from_dict(stored).structured == names
        assert ("endpoint:m: its replies were held to a JSON schema" in result.report()) is is_held
    with pytest.raises(InputError, match="structured_outputs takes True or False"):
        label([trace], "endpoint:m", structured_outputs="no", **options)


def test_malformed_replies_are_counted_in_the_result_also_of_a_call_that_resumes(endpoint: Endpoint, tmp_path) -> None:
    endpoint.reply = lambda number, text: said("1: backtracking")
    trace = Trace("t", "p", "First we need it. Wait, no.")
    for _ in range(2):
        result = label([trace], "endpoint:m", url=endpoint.url, out=tmp_path / "l.jsonl", progress=False)
        assert result.n_malformed == {"endpoint:m": 2} and len(endpoint.asked) == 2
        assert result.to_frame()["n_unknown"].unique().tolist() == [1]
        assert result.labelled is not None and result.labelled[0].by["endpoint:m"] == ("backtracking", None)
    assert "2 replies could not be read" in result.report()


def test_what_a_person_said_is_kept_when_the_traces_are_labelled_again(tmp_path: Path) -> None:
    out = tmp_path / "l.jsonl"
    traces = bundled_traces()[:3]
    label(traces, "keywords", out=out, progress=False)
    labelled = read_labelled(out)
    person = ("verification", *[None] * (len(labelled[1].sentences) - 1))
    labelled[1] = replace(labelled[1], by={**labelled[1].by, "person": person})
    write_labelled(labelled, out)
    result = label(traces, ["spans", "keywords"], out=out, progress=False)
    again = read_labelled(out)
    assert result.annotators == ("spans", "keywords", "person")
    assert again[1].by["person"] == person and again[0].by["person"] == (None,) * len(again[0].sentences)
    assert again[1].trace.spans[0].label == "verification"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"by": "keyword"},
            "there is no annotator 'keyword'; there are keywords, rules, spans, probe, endpoint. Did you",
        ),
        ({"by": "probe"}, "the annotator probe needs its file, as probe:probes.safetensors"),
        ({"by": "endpoint"}, "needs a model, as endpoint:MODEL"),
        ({"by": "endpoint:m"}, "endpoint:m needs the address of the endpoint: --url"),
        ({"by": "endpoint:m", "url": "http://h/v1", "reply_tokens": 0}, "reply_tokens"),
        ({"by": "endpoint:m", "url": "http://h/v1", "timeout_s": 0}, "timeout_s"),
        ({"by": "endpoint:m", "url": "http://h/v1", "n_parallel": 0}, "n_parallel"),
        ({"by": "endpoint:m", "url": "sk-secret"}, "an endpoint's address begins with http"),
        ({"by": "keywords:x"}, "keywords takes nothing after a colon"),
        ({"by": ["keywords", "keywords"]}, "'keywords' is named twice"),
        ({"by": []}, "no annotator is named"),
        ({"by": 3}, "and 3 .*is neither"),
        ({"take": "rules"}, "the labels of 'rules' cannot be taken; take those of keywords, or majority"),
        ({"behaviours": "nine"}, "there is no behaviour set 'nine'"),
        ({"by": "probe:none.safetensors"}, "none.safetensors"),
        ({"thoughts_only": "yes"}, "thoughts_only takes True or False"),
        ({"min_words": 99}, "none of 76 traces holds a sentence"),
    ],
)
def test_what_cannot_be_labelled_is_said_in_one_line_before_anything_is_written(
    tmp_path: Path, options, message
) -> None:
    with pytest.raises(InputError, match=message) as raised:
        label("bundled", **{"by": "keywords", "out": tmp_path / "l.jsonl", "progress": False} | options)
    assert "secret" not in str(raised.value) and not list(tmp_path.iterdir())


def test_a_file_that_label_did_not_write_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text("mine")
    with pytest.raises(InputError, match="was not written by `reasonlens label`; choose another --out"):
        label("bundled", out=tmp_path / "mine.jsonl", progress=False)
    assert (tmp_path / "mine.jsonl").read_text() == "mine"
    label(bundled_traces()[:2], out=tmp_path / "l.jsonl", progress=False)
    with pytest.raises(InputError, match="inputs.traces|traces"):
        label(bundled_traces()[:3], out=tmp_path / "l.jsonl", progress=False)
    with pytest.raises(InputError, match="behaviours"):
        label(bundled_traces()[:2], out=tmp_path / "l.jsonl", behaviours="cognitive", progress=False)


@pytest.mark.parametrize("name", ["l.jsonl", "l", "document.json", "samples.json", "l.jsonl.gz", "gzipped.jsonl"])
def test_json_of_any_layout_is_labelled_and_keeps_its_metadata(tmp_path: Path, name: str) -> None:
    rows = [{"id": f"t{n}", "prompt": "q", "text": f"So {n}. Wait.", "spans": [], "metadata": {"n": n}} for n in (1, 2)]
    if name.endswith(".json"):
        content = json.dumps({"samples": rows} if name == "samples.json" else rows, indent=2).encode()
    else:
        content = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if "gz" in name else content)
    label(tmp_path / name, out=tmp_path / "out.jsonl", progress=False)
    assert [trace.metadata for trace in read_labelled(tmp_path / "out.jsonl")] == [{"n": 1}, {"n": 2}]
