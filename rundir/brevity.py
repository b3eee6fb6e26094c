"""Say in a line what an object is, of what, and how to look at it: what the last line of a notebook cell prints."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import Any, TypeVar

Owner = TypeVar("Owner")

LONGEST = 900  # characters of a whole line
LONGEST_PART = 60


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
    shown = [_cut_part(str(name)) for name in names]
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return ", ".join(shown[:most]) + more


def cut(text: str, look: str) -> str:
    """Close a description with what shows more, its middle left out where it is too long."""
    line = " ".join(text.split())
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
