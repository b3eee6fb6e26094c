"""Say in a line what an object is, of what, and how to look at it: what the last line of a notebook cell prints."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import wraps
from itertools import islice
from typing import Any, TypeVar

Owner = TypeVar("Owner")

LONGEST = 900  # characters of a whole line
LONGEST_PART = 60
LONGEST_MESSAGE = 990  # characters of an error
LINE_BREAK = re.compile(r"\s*[\r\n]\s*")


def brief(owner: Any) -> str:
    """Describe a dataclass field by field, what is large by its kind and size; it is used as a `__repr__`.

    Args:
        owner: A dataclass. Its `LOOK`, if it has one, names what shows more.

    Returns:
        One line of fewer than 1,000 characters.
    """
    parts = [f"{field.name}={_short(getattr(owner, field.name))}" for field in fields(owner) if field.repr]
    return cut(f"{type(owner).__name__}({', '.join(parts)}", getattr(type(owner), "LOOK", ""))


def looked_at(look: str) -> Callable[[Callable[[Owner], str]], Callable[[Owner], str]]:
    """Make a `__repr__` end in what shows more, and never be longer than a few lines.

    Args:
        look: Methods that show more, such as ".figure(), .to_frame()".

    Returns:
        What wraps a `__repr__` that ends in a bracket.
    """

    def wrap(describe: Callable[[Owner], str]) -> Callable[[Owner], str]:
        @wraps(describe)
        def described(owner: Owner) -> str:
            return cut(describe(owner).removesuffix(")"), look)

        return described

    return wrap


def listed(names: Iterable[object], most: int = 8) -> str:
    """Join the first names by commas, and count the others.

    Args:
        names: Any names.
        most: How many are written.

    Returns:
        Such as "deduction, backtracking and 12 more".
    """
    rest = iter(names)
    shown = [printable(_cut_part(str(name))) for name in islice(rest, most)]
    n_more = sum(1 for _ in rest)
    return ", ".join(shown) + (f" and {n_more} more" if n_more else "")


def printable(text: str) -> str:
    """Write what a terminal would obey (escape sequences, marks that turn the writing round) as Python escapes it.

    Args:
        text: Any text.

    Returns:
        The same text, without a character that cannot be seen.
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def one_line(text: str) -> str:
    """Write a message in one line of fewer than 1,000 characters, the middle left out where it is longer.

    Args:
        text: The message, which may quote what others wrote.

    Returns:
        The line; its end, which says what to do, is always whole.
    """
    line = printable(LINE_BREAK.sub(" ", text))
    return line if len(line) <= LONGEST_MESSAGE else f"{line[: LONGEST_MESSAGE - 302]} … {line[-299:]}"


def shown(value: object) -> str:
    """Write a value for a message: its beginning, in one line, and its type.

    Args:
        value: Any value.

    Returns:
        Such as "[1, 2] (list)".
    """
    written = one_line(repr(value)) if not isinstance(value, str) else repr(value[:LONGEST_PART])
    return f"{_cut_part(written)} ({type(value).__name__})"


def cut(text: str, look: str) -> str:
    """Close a description with what shows more, its middle left out where it is too long."""
    line = printable(" ".join(text.split()))
    if len(line) > LONGEST:
        line = f"{line[: LONGEST - 100]} … {line[-80:]}"
    return f"{line}{f'; look: {look}' if look else ''})"


def _short(value: Any) -> str:
    """Write a value if it is short, else its kind and size."""
    if isinstance(value, str):
        return repr(_cut_part(value))
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple):
        return f"{type(value).__name__}{tuple(shape)}"
    if is_dataclass(value) or not isinstance(value, Collection):
        return _cut_part(repr(value)) if not is_dataclass(value) else f"{type(value).__name__}(…)"
    written = repr(value) if len(value) <= 8 and all(map(_is_plain, value)) else ""
    if isinstance(value, Mapping):
        plain = written and all(map(_is_plain, value.values()))
        return written if plain and len(written) <= LONGEST_PART else f"{{{listed(value, 4)}}}"
    if written and len(written) <= LONGEST_PART:
        return written
    kind = type(next(iter(value))).__name__ if len(value) else "nothing"
    return f"{len(value)} × {kind}"


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


def _cut_part(text: str) -> str:
    return text if len(text) <= LONGEST_PART else f"{text[: LONGEST_PART - 1]}…"
