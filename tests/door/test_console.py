"""What commands print."""

from __future__ import annotations

import re

import pytest

from reasonlens.cli.console import print_table


def test_a_table_that_is_piped_loses_no_column_and_breaks_no_name(capsys: pytest.CaptureFixture[str]) -> None:
    numbers = [f"0.{number}94 [0.990, 0.998]" for number in range(9)]
    print_table(("behaviour", *"abcdefghi"), [("uncertainty-estimation", *numbers), ("x" * 200, *numbers)])
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if "uncertainty-estimation" in line]
    assert all(number in line for number in numbers)
    assert max(map(len, lines)) < 450, "a name without end is folded, at 60 columns"


LOCATE = ("behaviour", "best", "AUROC", "next", "unmarked", "shuffled", "words", "position", "tokens", "n")
PROBE = ("behaviour", "best layer", "unmarked", "new wording", "words", "position", "tokens", "shuffled", "naive")
HYBRID = ("arm", "accuracy", "gap recovered", "steered", "changed", "p", "truncated", "unsure")
INTERVAL = ("AUROC", "accuracy", "gap recovered")
CAPTION = "Unmarked: spans without tell-tale words, at the best layer. Controls: labels shuffled (chance is 0.5). " * 3


def on_terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # taken for a terminal
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("LINES", "24")


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()


@pytest.mark.parametrize("columns", [LOCATE, PROBE, HYBRID])
@pytest.mark.parametrize("width", [60, 80])
def test_a_terminal_without_room_for_a_table_shows_every_name_and_number_of_it(
    columns: tuple[str, ...], width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on_terminal(monkeypatch, width)
    names = ("adding-knowledge", "backtracking", "uncertainty-estimation")
    rows = [
        [name, *(f"0.{row}{at}4" + " [0.123, 0.456]" * (column in INTERVAL) for at, column in enumerate(columns[1:]))]
        for row, name in enumerate(names)
    ]
    print_table(columns, rows, title="A title", caption=CAPTION)
    lines = printed(capsys)
    assert max(len(line.rstrip()) for line in lines) <= width and lines[0].rstrip() == "A title"
    assert " ".join(" ".join(lines).split()).endswith(CAPTION.strip())
    for name, row in zip(names, rows, strict=True):
        of_name = [line for line in lines if line.split()[:1] == [name]]
        assert len(of_name) > 1, "the name stands in each part of the table"
        assert " ".join(" ".join(of_name).split()).replace(f" {name} ", " ") == " ".join(row)
    headings = " ".join(" ".join(line for line in lines if line.split()[:1] == [columns[0]]).split())
    assert headings.replace(f" {columns[0]} ", " ") == " ".join(columns)


def test_a_terminal_with_room_shows_one_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on_terminal(monkeypatch, 200)
    print_table(LOCATE, [["backtracking", *("0.99 [0.98, 1.00]" for _ in LOCATE[1:])]])
    assert sum("backtracking" in line for line in printed(capsys)) == 1
