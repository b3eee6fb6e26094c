"""What others wrote is shown as it is in figures, on pages and on the terminal: no link, no command, no turned text."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from click.testing import Result
from rich.text import Text
from typer.testing import CliRunner

from reasonlens import write_traces
from reasonlens.cli.app import app
from reasonlens.cli.console import note, notes_on_stderr, print_json, print_rich, print_table, say, visible
from reasonlens.figures import FIGURES, FigureTable
from reasonlens.figures._text import neutral, page_text, plotly_text
from reasonlens.figures.page import result_page
from reasonlens.rundir import InputError

from .conftest import made

LINK = '<a href="https://evil.example">click</a>'
COMMANDS = "\u202aA\u202eB\u2066C\u2069D\u200eE\u200fF\x1b[31mG\x9b2JH\x07I\x00J"
HIDDEN = [character for character in COMMANDS if unicodedata.category(character) in ("Cc", "Cf")]
BREAKS_OF_OURS = ("<br>", "<extra>", "</extra>")


def texts(value: Any) -> Iterator[str]:
    """Every string in a figure."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for member in value.values():
            yield from texts(member)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from texts(member)


def hostile(table: FigureTable) -> FigureTable:
    """The same table with a link and commands in each of its texts."""
    rows = table.rows.copy()
    for name, kind in FIGURES[table.figure][1].items():
        if kind is str and name not in ("role", "measure", "series", "arm"):
            rows[name] = [f"{value} {LINK}{COMMANDS}%{{x}}" for value in rows[name]]
    for name in ("series", "arm"):
        if name in rows:
            rows[name] = [f"{value} {LINK}" if "own" in str(value) else value for value in rows[name]]
    options = dict(table.options)
    options |= {name: f"{options[name]} {LINK}{COMMANDS}" for name in ("title", "caption")}
    return replace(table, rows=rows, options=options)


@pytest.mark.parametrize("figure", FIGURES)
def test_no_text_of_a_table_is_markup_in_its_figure(figure: str) -> None:
    drawn = hostile(made(figure)).draw()
    found = [text for text in texts(json.loads(drawn.to_json())) if "evil" in text]
    assert found, "the control: the label is in the figure"
    for text in found:
        for ours in BREAKS_OF_OURS:
            text = text.replace(ours, "")
        assert "<" not in text and "&lt;a href=" in text, text
    everything = drawn.to_json()
    for character in HIDDEN:
        assert character not in json.loads(json.dumps(everything)) and f"\\u{ord(character):04x}" not in everything


def test_a_figure_of_plain_labels_is_what_it_was() -> None:
    table = made("layer_heatmap")
    draw, _ = FIGURES["layer_heatmap"]
    assert table.draw() == draw(table.rows, **table.options) and isinstance(table.draw(), go.Figure)


def test_texts_are_escaped_once_and_keep_their_length() -> None:
    assert plotly_text("a < b & %{x}\nc") == "a &lt; b &amp; &#37;{x}<br>c"
    assert page_text(f"{LINK}\u202e").startswith("&lt;a href=&quot;") and "\u202e" not in page_text("\u202e")
    for text in (COMMANDS, "plain", "naïve 漢字 👩\N{ZERO WIDTH JOINER}🚀", "a\n\tb", "\ud800", "\u2028"):
        assert len(neutral(text)) == len(text) and neutral(text) == visible(text)  # the terminal's does the same
    assert neutral("naïve 漢字 👩\N{ZERO WIDTH JOINER}🚀\n") == "naïve 漢字 👩\N{ZERO WIDTH JOINER}🚀\n"


def test_whatever_is_printed_commands_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with notes_on_stderr():
        note(COMMANDS)
    say(COMMANDS)
    print_table((COMMANDS, "n"), [(COMMANDS, f"1{COMMANDS}")], title=COMMANDS, caption=COMMANDS)
    print_rich(Text(COMMANDS, style="bold"))
    print_json({COMMANDS: COMMANDS})
    printed = capsys.readouterr()
    for character in HIDDEN:
        assert character not in printed.out + printed.err
    print_json({"a": COMMANDS, "b": "é\n"})
    assert json.loads(capsys.readouterr().out) == {"a": COMMANDS, "b": "é\n"}


def test_collect_prints_hostile_labels_and_errors_in_plain_letters(tiny, traces, tmp_path: Path) -> None:
    label = f"back{COMMANDS}\ntracking"
    odd = [
        replace(trace, spans=tuple(replace(span, label=f"{label}{span.label}") for span in trace.spans))
        for trace in traces
    ]
    write_traces(odd, tmp_path / "traces.jsonl")
    tiny().model.save_pretrained(tmp_path / "model")
    tiny().tokenizer.save_pretrained(tmp_path / "model")
    acts, traces_file = tmp_path / "acts", tmp_path / "traces.jsonl"
    done = run("collect", "--model", tmp_path / "model", "--traces", traces_file, "--out", acts)
    refused = run("directions", acts, "--behaviours", "x", "--out", tmp_path / "v")
    assert done.exit_code == 0 and refused.exit_code == 2, done.output
    assert "⏎tracking" in done.output and "tracking" in refused.output
    for output in (done.output, refused.output):
        assert not any(character in output for character in HIDDEN)


def run(*words: object) -> Result:
    return CliRunner().invoke(app, list(map(str, words)))


def test_pages_hold_no_commands(tmp_path: Path) -> None:
    table = made("layer_heatmap")
    rows = table.rows.assign(behaviour=[f"{COMMANDS}{name}" for name in table.rows["behaviour"]])
    page = result_page(f"title {COMMANDS}", f"lead {COMMANDS}", {}, rows, [COMMANDS])
    body = page
    assert "lead" in body and not any(character in body for character in HIDDEN if character != "\x00")


def test_an_error_of_the_library_holds_what_was_given_and_commands_no_terminal(traces) -> None:
    with pytest.raises(InputError) as error:
        raise InputError(f"no span shows {COMMANDS}")
    assert COMMANDS not in str(error.value) and "\\u202aA\\u202eB" in str(error.value)
