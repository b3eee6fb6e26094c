"""What all commands share: a user's mistake is one line and exit code 2; notes go to stderr."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import typer

logger = logging.getLogger(__name__)


class _PlainLines(logging.Handler):
    """Print what is logged as plain lines on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        typer.echo(record.getMessage(), err=True)


@contextmanager
def notes_on_stderr() -> Iterator[None]:
    """Print what the library and the commands log, as long as the block lasts."""
    root, handler = logging.getLogger("reasonlens"), _PlainLines()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.setLevel(level)
        root.removeHandler(handler)


@contextmanager
def user_errors() -> Iterator[None]:
    """Turn a user's mistake into one line on stderr and exit code 2."""
    from reasonlens.rundir import InputError

    try:
        yield
    except InputError as error:
        typer.echo(f"reasonlens: {' '.join(str(error).split())}", err=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        typer.echo("reasonlens: stopped; the same command takes up what was finished", err=True)
        raise typer.Exit(130) from None


def note(line: str) -> None:
    """Say something beside the results."""
    logger.info(line)


def visible(text: str) -> str:
    """The text with control and direction characters replaced: printed raw, they would command the terminal."""
    import unicodedata

    def shown(character: str) -> str:
        kind = unicodedata.category(character)
        if character in "\n\t\N{ZERO WIDTH JOINER}" or kind not in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            return character
        return chr(0x2400 + ord(character)) if ord(character) < 0x20 else "\N{REPLACEMENT CHARACTER}"

    return "".join(map(shown, text))
