"""Print what commands have to say: tables and JSON on stdout; notes, and the next command to run, on stderr.

Notes go through the logger that the library uses, so `--quiet` silences both. Errors are the door's (`door.py`).
"""

from __future__ import annotations

import json
import logging
import os
import shlex
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

ENDLESS = 100_000  # columns
PIPE_WIDTH = 124  # columns where stdout is no terminal and has no width; a table that needs more takes more
LONGEST = 60  # columns of a word that is not broken
UNKNOWN = "–"
HUB_BARS = "HF_HUB_DISABLE_PROGRESS_BARS"

logger = logging.getLogger(__name__)


class _PlainLines(logging.Handler):
    """Print what is logged as plain lines on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        typer.echo(visible(record.getMessage()), err=True)


@contextmanager
def notes_on_stderr() -> Iterator[None]:
    """Print what the library and the commands log, as long as the block lasts."""
    root, handler = logging.getLogger("reasonlens"), _PlainLines()
    root.addHandler(handler)
    try:
        with _at_level(logging.INFO):
            yield
    finally:
        root.removeHandler(handler)


@contextmanager
def no_notes() -> Iterator[None]:
    """Print no note and no progress inside the block, nor the bars of downloads from the hub."""
    from reasonlens.rundir.progress import no_progress

    before = os.environ.get(HUB_BARS)
    os.environ[HUB_BARS] = "1"  # read by huggingface_hub when it is imported, which is later than this
    try:
        with no_progress(), _at_level(logging.CRITICAL):
            yield
    finally:
        del os.environ[HUB_BARS]
        if before is not None:
            os.environ[HUB_BARS] = before


@contextmanager
def _at_level(level: int) -> Iterator[None]:
    root = logging.getLogger("reasonlens")
    before = root.level
    root.setLevel(level)
    try:
        yield
    finally:
        root.setLevel(before)


def note(line: str) -> None:
    """Print a line beside the results."""
    logger.info(line)


def next_command(*words: object) -> None:
    """Print the command that comes next, as it would be typed; every command ends with this."""
    logger.info(f"next: reasonlens {shlex.join(map(str, words))}")


def next_of_pair(verb: str, base: str | None, thinking: str, problems: object, *more: object) -> None:
    """Print the command that asks more of the same pair of models, on the same problems."""
    with_base = () if base is None else ("--base", base)
    on = () if problems is None else ("--problems", problems)
    next_command(verb, *with_base, "--thinking", thinking, *on, *more)


def say(line: str = "") -> None:
    """Print a line of results; what would command the terminal is shown instead."""
    typer.echo(visible(line))


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    *,
    title: str = "",
    caption: str = "",
    n_names: int = 1,
) -> None:
    """Print a table of plain strings, in which nothing is taken for markup.

    Where a terminal has no room for all columns, they are printed in several tables, each with the columns of names.

    Args:
        columns: Heading of each column.
        rows: Cells of each row.
        title: Line above the table.
        caption: What the columns mean, below the table.
        n_names: Number of columns, from the left, that hold names: they stand left, and words of them that are longer
            than 60 columns are folded. The others hold numbers, which stand right and are never cut.
    """
    from rich.console import Console
    from rich.text import Text

    headings = [Text(one_line(column)) for column in columns]
    cells_of = [[Text(one_line(cell)) if isinstance(cell, str) else cell for cell in row] for row in rows]
    console = Console()
    measured = Console(width=ENDLESS)  # what is measured is never wider than the console
    parts = [list(range(n_names))]
    for number in range(n_names, len(headings)):
        wider = [*parts[-1], number]
        is_full = measured.measure(_table(headings, cells_of, wider, n_names)).minimum > console.width
        if console.is_terminal and is_full and len(parts[-1]) > n_names:
            parts.append([*range(n_names), number])
        else:
            parts[-1] = wider
    if title:
        print_rich(Text(visible(title), style="table.title"))
    print_rich(*(_table(headings, cells_of, part, n_names) for part in parts))
    if caption:
        print_rich(Text(visible(caption), style="table.caption"))


def _table(headings: Sequence[Text], rows: Sequence[Sequence[Text]], part: Sequence[int], n_names: int) -> Table:
    """Make a table of some of the columns."""
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for number in part:
        cells = [headings[number], *(row[number] for row in rows)]
        if number < n_names:
            longest = max((cell_len(word) for cell in cells for word in cell.plain.split()), default=1)
            table.add_column(headings[number], overflow="fold", min_width=min(longest, LONGEST))
        else:
            longest = max(cell.cell_len for cell in cells)
            table.add_column(headings[number], justify="right", no_wrap=True, min_width=longest)
    for row in rows:
        table.add_row(*(row[number] for number in part))
    return table


def print_rich(*parts: RenderableType, wrap: bool = True) -> None:
    """Print coloured text and tables.

    Args:
        *parts: What is printed, one below the other. A table that needs more columns than there are takes more.
        wrap: Whether long lines of text are broken between words; else they are left to the terminal.
    """
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    width = console.width if console.is_terminal else PIPE_WIDTH
    for part in parts:
        if isinstance(part, Text):
            part.plain = visible(part.plain)  # of the same length, so that styles stay where they are
        console.width = ENDLESS  # what is measured is never wider than the console
        is_cut = not console.is_terminal or not isinstance(part, Text)  # a terminal's text is broken anywhere
        console.width = max(width, console.measure(part).minimum) if is_cut else width
        console.print(part, soft_wrap=not wrap)


def print_json(value: Any) -> None:
    """Print results as JSON, and nothing else, on stdout."""
    written = json.dumps(value, ensure_ascii=False, indent=1)
    if visible(written) != written:
        written = "".join(letter if visible(letter) == letter else json.dumps(letter)[1:-1] for letter in written)
    typer.echo(written)


def read_json(path: Path) -> Any:
    """Read results that a run has written."""
    from reasonlens import rundir

    return rundir.read_json(path, "results")


def number(value: float | None, digits: int = 3) -> str:
    """Write a number with so many decimals; a dash where it is not known (None or NaN)."""
    return UNKNOWN if value is None or value != value else f"{value:.{digits}f}"


def interval(value: float | None, low: float | None, high: float | None, digits: int = 3) -> str:
    """Write a value with its interval; a dash where it is not known."""
    known = number(value, digits)
    return known if known == UNKNOWN else f"{known} [{number(low, digits)}, {number(high, digits)}]"


def interval_of(row: Mapping[Any, Any], name: str, digits: int = 3) -> str:
    """Write the value `name` of a row with its interval, which stands in `name`_low and `name`_high."""
    return interval(row.get(name), row.get(f"{name}_low"), row.get(f"{name}_high"), digits)


def signed_interval_of(row: Mapping[Any, Any], name: str) -> str:
    """Write the change `name` of a row with its interval, each with its sign."""
    return f"{row[name]:+.3f} [{row[f'{name}_low']:+.3f}, {row[f'{name}_high']:+.3f}]"


def one_line(text: str) -> str:
    """Replace the line breaks of a name, which would make it look like several lines of a table."""
    return visible(text).replace("\n", "⏎")


def visible(text: str) -> str:
    """Replace control and direction characters: printed raw, they would command the terminal."""
    if text.isascii() and text.isprintable():
        return text

    def shown(character: str) -> str:
        kind = unicodedata.category(character)
        if character in "\n\t\N{ZERO WIDTH JOINER}" or kind not in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            return character
        return chr(0x2400 + ord(character)) if ord(character) < 0x20 else "\N{REPLACEMENT CHARACTER}"

    return "".join(map(shown, text))
