"""A check of traces names what would be refused, counted twice or cut, and nothing of what is sound."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from reasonlens import InputError, Span, Trace, TraceCheck, traces_check, write_traces
from reasonlens.analysis.trace_findings import KINDS
from reasonlens.cli.app import app


def found(*sources: Any, **options: Any) -> dict[str, int]:
    """The kinds that a check finds, and how often."""
    counts: dict[str, int] = {}
    for finding in traces_check(*sources, progress=False, **options).findings:
        counts[finding.kind] = counts.get(finding.kind, 0) + finding.n
    return counts


def test_sound_traces_have_nothing_to_mend(tiny: Any, traces: list[Trace]) -> None:
    assert found("bundled") == {}
    assert found(traces, model=tiny()) == {}
    checked = traces_check(traces, progress=False)
    assert not checked.is_wrong and repr(checked).startswith("TraceCheck(12 traces of 1 files: nothing to mend")
    assert checked.labels == {"deduction": 24, "backtracking": 24, "verification": 24} and checked.n_problems == (12,)


DEFECTS: dict[str, list[Trace]] = {
    "repeated id": [Trace("t0", "Another?", "Other.", (Span(0, 5, "deduction"),))],
    "repeated text": [
        Trace("a", "Q?", "So  4.", (Span(0, 2, "deduction"),)),
        Trace("b", "Q?", "So 4.", (Span(0, 2, "x"),)),
    ],
    "empty text": [Trace("a", "Q?", " \n", (Span(0, 2, "deduction"),))],
    "empty span": [Trace("a", "Q?", "So  4.", (Span(2, 4, "deduction"),))],
    "overlap": [Trace("a", "Q?", "So 4 is it.", (Span(0, 8, "deduction"), Span(3, 5, "verification")))],
    "no labels": [Trace("a", "Q?", "So 4.")],
    "rare label": [Trace("a", "Q?", "So 4.", (Span(0, 2, "musing"),))],
    "cut prompt": [
        Trace("a", "Q?", "So 4.", (Span(0, 2, "deduction"),), "one"),
        Trace("b", "Q?", "So 5.", (Span(0, 2, "deduction"),), "two"),
    ],
}


@pytest.mark.parametrize("kind", DEFECTS)
def test_a_planted_defect_is_found_once_and_named(traces: list[Trace], kind: str) -> None:
    counts = found([*traces, *DEFECTS[kind]])
    assert counts.pop(kind) == 1
    accompanying = {"empty text": {"empty span"}, "repeated text": {"rare label"}}.get(kind, set())
    assert set(counts) <= accompanying, counts
    (finding,) = [one for one in traces_check([*traces, *DEFECTS[kind]], progress=False).findings if one.kind == kind]
    named = {"rare label": "musing: 1 spans of 1 problems", "no labels": "1 of 13 traces", "repeated id": "t0"}
    assert named.get(kind, DEFECTS[kind][-1].id) in finding.examples[0]
    assert finding.is_wrong == KINDS[kind][0]


def test_labels_need_as_many_problems_as_there_are_folds(traces: list[Trace]) -> None:
    few = traces[:4]
    assert found(few, n_folds=4) == {}
    assert found(few, n_folds=5) == {"rare label": 3, "too few problems": 1}
    same = [Trace(trace.id, "One?", trace.text, trace.spans) for trace in traces]  # twelve samples of one problem
    assert found(same, n_folds=3) == {"rare label": 3, "too few problems": 1}
    one = [Trace(str(number), f"Q{number}", "So 4.", (Span(0, 2, "deduction"),)) for number in range(9)]
    assert found(one) == {"one label": 1}


def test_a_problem_or_prompt_of_two_files_is_a_leak_whatever_it_is_called(traces: list[Trace], tmp_path: Path) -> None:
    assert found(traces[:6], traces[6:]) == {} or set(found(traces[:6], traces[6:])) <= {"rare label"}
    write_traces(traces[:6], tmp_path / "train.jsonl")
    other = Trace("new", traces[0].prompt.upper(), "New.", traces[7].spans[:1] and (), "new")
    renamed = Trace("again", f" {traces[1].prompt}", "Other.", (), "renamed")
    write_traces([*traces[6:], other, renamed, traces[2]], tmp_path / "test.jsonl")
    checked = traces_check(tmp_path / "train.jsonl", tmp_path / "test.jsonl", progress=False)
    leaks = [finding for finding in checked.findings if finding.kind == "leak"]
    (leak,) = leaks
    assert leak.file.endswith("test.jsonl") and leak.n == 2
    assert sorted(leak.examples) == [
        f"problem {traces[2].problem!r}, also in {tmp_path / 'train.jsonl'}",
        f"prompt {traces[1].prompt!r}, also in {tmp_path / 'train.jsonl'}",
    ]
    assert {finding.kind: finding.n for finding in checked.findings}["repeated text"] == 1


def test_with_a_model_texts_beyond_its_context_and_words_it_does_not_know_are_found(
    tiny: Any, traces: list[Trace], monkeypatch: pytest.MonkeyPatch
) -> None:
    long = Trace("long", "Q?", "So it goes on. " * 400, (Span(0, 2, "deduction"),))
    fitting = Trace("fits", "Q2?", "So. " * 100, (Span(0, 2, "deduction"),))
    checked = traces_check([*traces, long, fitting], model=tiny(), progress=False)
    (finding,) = checked.findings
    assert (finding.kind, finding.n) == ("over context", 1) and finding.examples[0].startswith("trace 'long' has ")
    assert checked.model == "tiny-llama"
    assert found([long]).keys() & {"over context"} == set()
    monkeypatch.setattr("reasonlens.analysis.trace_check.count_unknown", lambda model, ids: 1 + len(ids) // 10)
    assert found(traces, model=tiny())["unknown words"] == len(traces)
    monkeypatch.setattr("reasonlens.analysis.trace_check.count_unknown", lambda model, ids: len(ids) // 10)
    assert found(traces, model=tiny()) == {}


def test_an_organism_does_not_know_english(traces: list[Trace]) -> None:
    assert found(traces, model="organism/base-timing")["unknown words"] == len(traces)


def test_a_malformed_row_ends_nothing(tmp_path: Path, traces: list[Trace]) -> None:
    rows = [asdict(trace) for trace in traces]
    rows[3]["spans"] = [{"start": 0, "end": 10**6, "label": "deduction"}]
    rows[5]["text"] = None
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    checked = traces_check(tmp_path / "t.jsonl", progress=False)
    assert checked.n_traces == (10,)
    (finding,) = [one for one in checked.findings if one.kind == "malformed"]
    assert finding.n == 2 and "line 4: trace 't3': span 0..1000000" in finding.examples[0]
    assert "line 6: 'text' is missing" in finding.examples[1]


def test_a_check_is_read_back_and_tabulated(traces: list[Trace]) -> None:
    checked = traces_check([*traces, *DEFECTS["empty span"]], traces[:3], progress=False)
    again = TraceCheck.from_dict(json.loads(json.dumps(checked.to_dict())))
    assert again.findings == checked.findings and again.labels == checked.labels and again.files == checked.files
    frame = checked.to_frame()
    assert len(frame) == len(checked.findings) and frame.equals(again.to_frame())
    assert {"empty span", "leak", "rare label"} <= set(frame["kind"])
    assert "empty span" in checked._repr_html_()
    with pytest.raises(InputError, match="format"):
        TraceCheck.from_dict({"format": "other"})


def test_examples_are_cut_and_counts_are_not() -> None:
    empty = [Trace(str(number), f"Q{number}", " ") for number in range(50)]
    (finding,) = [one for one in traces_check(empty, progress=False).findings if one.kind == "empty text"]
    assert finding.n == 50 and len(finding.examples) == 20


@pytest.mark.parametrize("call", [lambda: traces_check(), lambda: traces_check("bundled", n_folds=2)])
def test_a_check_of_nothing_is_refused(call: Any) -> None:
    with pytest.raises(InputError, match="nothing to check|n_folds"):
        call()


def test_the_command_exits_with_1_where_something_must_be_mended(traces: list[Trace], tmp_path: Path) -> None:
    write_traces(traces, tmp_path / "good.jsonl")
    write_traces([*traces, *DEFECTS["empty span"]], tmp_path / "bad.jsonl")
    (tmp_path / "rare.jsonl").write_bytes((tmp_path / "good.jsonl").read_bytes())
    write_traces([*traces, *DEFECTS["rare label"]], tmp_path / "rare.jsonl")
    for name, code, line in (("good", 0, "nothing to mend"), ("bad", 1, "mend"), ("rare", 0, "know")):
        done = CliRunner().invoke(app, ["traces", "check", str(tmp_path / f"{name}.jsonl")])
        assert done.exit_code == code and line in done.stdout, done.output
        assert "next: reasonlens " in done.stderr
    done = CliRunner().invoke(app, ["traces", "check", str(tmp_path / "bad.jsonl"), "--json", "--quiet"])
    assert done.exit_code == 1 and done.stderr == ""
    assert json.loads(done.stdout)["findings"][0]["kind"] == "empty span"
    (tmp_path / "cut.jsonl").write_bytes((tmp_path / "good.jsonl").read_bytes()[:-20])
    done = CliRunner().invoke(app, ["traces", "check", str(tmp_path / "cut.jsonl"), "--quiet"])
    assert done.exit_code == 2 and "line 12: not valid JSON" in done.stderr
