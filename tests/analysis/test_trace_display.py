"""Traces are shown with every label, coloured and named, and nothing that a model wrote commands page or terminal."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reasonlens import InputError, Span, Trace, traces_show, write_traces
from reasonlens.cli.app import app
from reasonlens.figures.labelled import LabelledText, pieces

HOSTILE = Trace(
    "\x1b[2J<script>id</script>",
    "<img src=x onerror=alert(1)>\u202e",
    "So \x1b[31m4</span><script>alert(1)</script>. Wait.",
    (Span(0, 8, "<b>bold\x1b]0;x\x07"), Span(6, 12, "verification")),
)


def test_a_text_is_cut_where_spans_begin_and_end_and_lost_nowhere() -> None:
    text = LabelledText(name="a", prompt="", text="one two three", labels=[(0, 7, "x"), (4, 13, "y"), (8, 9, "z")])
    assert list(pieces(text)) == [
        ("one ", ["x"], "x"),
        ("two", ["y"], "y"),
        (" ", [], "y"),
        ("t", ["z"], "z"),
        ("hree", [], "y"),
    ]
    assert list(pieces(LabelledText(name="a", prompt="", text="plain", labels=[]))) == [("plain", [], None)]
    assert list(pieces(LabelledText(name="a", prompt="", text="", labels=[]))) == []


def test_a_page_holds_every_letter_and_label_and_obeys_none(tmp_path: Path, traces: list[Trace]) -> None:
    write_traces([*traces, HOSTILE], tmp_path / "t.jsonl")
    page = traces_show(tmp_path / "t.jsonl", n=13).to_html(tmp_path / "t.html")
    assert (tmp_path / "t.html").read_text("utf-8") == page
    body = page.partition('<main id="main">')[2].partition("</main>")[0]
    assert "<script" not in body and "<img" not in body and "\x1b" not in page and "\u202e" not in page
    assert "default-src 'none'" in page
    shown = unescape(re.sub(r"<b>[^<]*</b>|</?(?:span|div|p|h2|section|style)[^>]*>", "", body))
    for trace in traces:
        assert trace.text in shown and trace.prompt in shown
    assert body.count("<b>deduction</b>") == 24 and "the most frequent label is verification (25 spans)" in body
    assert '<tr><td class="text">deduction</td><td>24</td><td>12</td>' in body
    assert traces_show(traces, n=1)._repr_html_().count("<b>") == len(traces[0].spans)


def test_a_terminal_shows_every_label_and_obeys_nothing(tmp_path: Path, traces: list[Trace]) -> None:
    write_traces([*traces, HOSTILE], tmp_path / "t.jsonl")
    done = CliRunner().invoke(app, ["traces", "show", str(tmp_path / "t.jsonl"), "--n", "13"], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", done.stdout)
    assert done.stdout.count("[deduction] ") == 24 and traces[3].prompt in done.stdout
    assert "<script>alert(1)</script>" in done.stdout.replace("[verification] ", "")
    assert "next: reasonlens traces show" in done.stderr


def test_traces_are_chosen_by_id_or_number(tmp_path: Path, traces: list[Trace]) -> None:
    write_traces(traces, tmp_path / "t.jsonl")
    assert traces_show(tmp_path / "t.jsonl", ids=["t7", "t2"]).traces == [traces[7], traces[2]]
    assert traces_show(traces).traces == traces[:3] and "3 of 'the list'" in repr(traces_show(traces))
    assert len(traces_show("bundled", n=5).traces) == 5
    page = str(tmp_path / "x.html")
    done = CliRunner().invoke(app, ["traces", "show", str(tmp_path / "t.jsonl"), "--id", "t7", "--html", page, "-q"])
    assert done.exit_code == 0 and done.output == ""
    assert traces[7].prompt in Path(page).read_text("utf-8")
    with pytest.raises(InputError, match="no trace has the id 't77'. Did you mean 't7'"):
        traces_show(tmp_path / "t.jsonl", ids=["t77"])
    with pytest.raises(InputError, match="n must be|n is|whole number"):
        traces_show(traces, n=0)
    with pytest.raises(InputError, match="the list holds no traces"):
        traces_show([])
