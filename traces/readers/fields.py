"""Find the fields of a trace among those of a row, which other programs call by other names.

A field that the user maps (`prompt=question`) is taken under that name; `a.b.0` is member 0 of the list `b` in the
object `a`. Others are sought by the usual names below, the first that is there and holds what it must. The choice is
made once, by the first row, and holds for the file: a row that lacks a field is named.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from ...rundir import InputError, did_you_mean, listed

Row = Mapping[str, Any]
Fields = dict[str, str]  # field of a trace -> name in the row

# Field of a trace -> its usual names, in the order in which they are tried.
USUAL: dict[str, tuple[str, ...]] = {
    "id": ("id", "trace_id", "uid", "uuid", "custom_id", "sample_id"),
    "prompt": (
        *("prompt", "question", "problem", "instruction", "query", "input", "original_prompt", "user_prompt"),
        *("problem_text", "question_text", "task"),
    ),
    "text": (
        *("text", "response", "output", "completion", "generation", "full_response", "generated_text"),
        *("model_output", "model_response", "responses", "outputs", "completions", "generations", "full_text"),
    ),
    "annotated": ("annotated", "annotated_thinking", "annotated_response", "annotated_text"),
    "spans": ("spans",),
    "thoughts": ("reasoning_content", "reasoning", "thinking", "thoughts"),
    "problem": ("problem_id", "question_id", "problem", "group", "doc_id"),
    "messages": ("messages", "conversations", "conversation", "chat", "original_message"),
}
SURROGATES = re.compile("[\ud800-\udfff]")
MOST_NAMES = 500  # of a row that are compared with what was meant
Kind = Callable[[Any], bool]


def _is_text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_texts(value: Any) -> bool:
    return _is_text(value) or (isinstance(value, list) and all(isinstance(one, str) for one in value))


def _is_name(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _is_list(value: Any) -> bool:
    return isinstance(parsed(value), list | dict)


# What a field must hold to be chosen by its usual name.
KINDS: dict[str, Kind] = {
    "id": _is_name,
    "problem": _is_name,
    "text": _is_texts,
    "spans": _is_list,
    "messages": _is_list,
    "prompt": _is_text,
    "annotated": _is_text,
    "thoughts": _is_text,
}


def check_fields(fields: Mapping[str, str] | None) -> Fields:
    """Check what a user maps: field of a trace -> its name in the file.

    Args:
        fields: The mapping; an empty name states that the file has no such field.

    Returns:
        The same.

    Raises:
        InputError: There is no such field of a trace, or a name is no text.
    """
    if fields is not None and not isinstance(fields, Mapping):
        raise InputError(
            f"fields maps fields of a trace to names in the file, such as {{'prompt': 'question'}}: {fields!r:.60}"
        )
    for field, name in (fields or {}).items():
        if field not in USUAL:
            raise InputError(
                f"a trace has no field {field!r:.60}; map one of {', '.join(USUAL)} (prompt=question)."
                f"{did_you_mean(field, USUAL)}"
            )
        if not isinstance(name, str):
            raise InputError(f"the name of a field is a text, and {field!r} is mapped to {name!r:.60}")
    return dict(fields or {})


def choose_fields(row: Row, mapping: Mapping[str, str], names: tuple[str, ...]) -> Fields:
    """Choose the fields of a row, each name at most once.

    Args:
        row: The first row.
        mapping: What the user maps.
        names: The fields that are sought, in the order in which they choose.

    Returns:
        The fields that are there.

    Raises:
        InputError: A field that the user maps is not in the row.
    """
    chosen: Fields = {}
    by_lower = {name.lower(): name for name in reversed([*row]) if isinstance(name, str)}
    for field in names:
        if field in mapping:
            if mapping[field]:
                if not has(row, mapping[field]):
                    raise InputError(no_field(row, mapping[field]))
                chosen[field] = mapping[field]
            continue
        used = {*chosen.values(), *mapping.values()}
        usual = (by_lower[name] for name in USUAL[field] if name in by_lower)
        name = next((name for name in usual if name not in used and KINDS[field](row[name])), None)
        if name is not None:
            chosen[field] = name
    return chosen


def no_field(row: Row, name: str) -> str:
    """Describe that a row lacks a field, with those that it has."""
    near = did_you_mean(name, [*row][:MOST_NAMES], 0.5)
    return f"there is no field {name!r:.60}; the fields here are {listed(row, 20)}.{near}"


def has(row: Row, name: str) -> bool:
    """Tell whether a row has a field, by its own name or by a path of names."""
    try:
        value(row, name)
    except InputError:
        return False
    return True


def value(row: Row, name: str) -> Any:
    """Return what a row holds under a name, or at the end of a path of names and numbers joined by points.

    Args:
        row: The row.
        name: `output`, or `choices.0.message`.

    Returns:
        The value.

    Raises:
        InputError: The row lacks it.
    """
    if name in row:
        return row[name]
    place: Any = row
    for part in name.split("."):
        if isinstance(place, Mapping) and part in place:
            place = place[part]
        elif isinstance(place, list) and part.isascii() and part.isdigit() and int(part[:9]) < len(place):
            place = place[int(part)]
        else:
            raise InputError(no_field(row, name))
    return place


def text(row: Row, name: str) -> str:
    """Return the text of a field; nothing where it is null.

    Args:
        row: The row.
        name: Name or path of the field.

    Returns:
        The text.

    Raises:
        InputError: The row lacks it, or it is no text.
    """
    return checked_text(value(row, name), name)


def checked_text(held: Any, name: str) -> str:
    """Check that the value of a field is a text; null is an empty one.

    Args:
        held: The value.
        name: The field, for the message.

    Returns:
        The text.

    Raises:
        InputError: It is something else, or holds half of a surrogate pair.
    """
    if held is None:
        return ""
    if not isinstance(held, str):
        raise InputError(f"{name!r:.60} must be a text, found {held!r:.60}")
    if SURROGATES.search(held):
        raise InputError(f"{name!r:.60} holds half of a surrogate pair, which is no text; was an emoji cut in two?")
    return held


def identifier(row: Row, name: str) -> str:
    """Return a field that names something: a text or a whole number.

    Args:
        row: The row.
        name: Name or path of the field.

    Returns:
        The name; empty where it is null.

    Raises:
        InputError: The row lacks it, or it is something else.
    """
    held = value(row, name)
    if held is not None and not _is_name(held):
        raise InputError(f"{name!r:.60} must be a text or a whole number, found {held!r:.60}")
    return checked_text(held if held is None else str(held), name)


def parsed(held: Any) -> Any:
    """Return a list or object that a table holds as text (JSON); any other value as it is."""
    if isinstance(held, str) and held.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(held)
        except (ValueError, RecursionError):
            return held
    return held
