"""Compare settings as plain JSON, field by field: those in a file with those of the present call."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

Json: TypeAlias = Any  # what json.dumps takes: None, bool, int, float, str, lists and dictionaries of them

MISSING = "nothing"


def plain(value: Any) -> Json:
    """Convert settings to what reading them back from JSON gives.

    Args:
        value: JSON values, dataclasses, paths, sets, and numbers of numpy or torch, nested in any way.

    Returns:
        The same as JSON: tuples and sets as lists, dataclasses as dictionaries, paths as texts.

    Raises:
        TypeError: A value is of a type that JSON has no form for.
        ValueError: A number is NaN or infinite.
    """
    return json.loads(json.dumps(value, default=_default, allow_nan=False))


def differences(stored: Mapping[str, Any], current: Mapping[str, Any]) -> str:
    """Name every field in which two sets of settings differ.

    Nested fields are named `outer.inner`; a field that one of them lacks is "nothing" there.

        differences({"layers": "all"}, {"layers": "0:4"})  # "layers 'all' there, '0:4' asked"

    Args:
        stored: Settings that an earlier run wrote down.
        current: Settings of the present call.

    Returns:
        The differences in words, separated by commas; empty where the settings agree.
    """
    before, now = _flat(plain(stored)), _flat(plain(current))
    return ", ".join(
        f"{name} {_word(before, name)} there, {_word(now, name)} asked" for name in _different(before, now)
    )


def different_fields(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[str, Json, Json]]:
    """List every field in which two sets of settings differ.

    Args:
        first: Settings.
        second: Other settings.

    Returns:
        Name, nested ones as `outer.inner`, and both values; None where a field is lacking.
    """
    one, other = _flat(plain(first)), _flat(plain(second))
    return [(name, one.get(name), other.get(name)) for name in _different(one, other)]


def _different(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    names = [*now, *(name for name in before if name not in now)]
    return [
        name
        for name in names
        if name not in before or name not in now or before[name] != now[name] or _kind(before[name]) != _kind(now[name])
    ]


def callable_name(function: Callable[..., Any]) -> str:
    """Name a function in settings, by its module and qualified name.

    Args:
        function: A function, or an object that can be called; the latter is named by its type.

    Returns:
        Such as "reasonlens.probes.sweep.sweep".
    """
    return f"{function.__module__}.{getattr(function, '__qualname__', type(function).__qualname__)}"


def _word(fields: Mapping[str, Any], name: str) -> str:
    return f"{fields[name]!r:.60}" if name in fields else MISSING


def _kind(value: Any) -> bool:
    """Distinguish True from 1, and False from 0: equal in Python, different as settings."""
    return isinstance(value, bool)


def _flat(fields: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) and value else {f"{prefix}{name}": value}
    return flat


def _default(value: Any) -> Json:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    if hasattr(value, "item") and getattr(value, "shape", None) == ():  # a number of numpy or torch
        return value.item()
    raise TypeError(f"settings hold a {type(value).__name__}, which JSON has no form for: {value!r:.80}")
