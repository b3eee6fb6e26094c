"""Check rows of JSON against strict types: a boolean is `true`, not `"false"` or 1; no field is missing or unknown.

A schema maps field names to types as annotations write them: `str`, `int`, `float`, `bool`, `str | None`,
`list[int]`, `tuple[float, ...]`, `dict[str, int]`, `Literal["a", "b"]`, `Any` (whatever JSON holds), a dataclass. NaN,
which JSON has no form for, stands as null in the float fields of a dataclass.
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

from .comparison import Json

Columns: TypeAlias = Mapping[str, Any]  # field name -> type
Row: TypeAlias = dict[str, Json]
PLAIN = frozenset({str, int, float, bool, type(None)})
Record = TypeVar("Record")


def columns_of(record_type: type) -> dict[str, Any]:
    """Read the schema of a dataclass off its annotations.

    Args:
        record_type: A dataclass.

    Returns:
        Field name -> annotated type; a float field may also hold null, which stands for NaN.
    """
    return {name: float | None if kind is float else kind for name, kind in _hints(record_type).items()}


def to_row(record: Any) -> Row:
    """Convert a dataclass instance to a row of JSON.

    Args:
        record: An instance of a dataclass.

    Returns:
        Field name -> value: nested dataclasses as dictionaries, tuples as lists, NaN as None.
    """
    return {field.name: _listed(getattr(record, field.name)) for field in dataclasses.fields(record)}


def from_row(record_type: type[Record], row: Mapping[str, Json]) -> Record:
    """Build a dataclass instance from a row of JSON: the inverse of `to_row`.

    Args:
        record_type: A dataclass.
        row: A value for each of its fields.

    Returns:
        The instance: lists are tuples again where the field is a tuple, and None is NaN where it is a float.
    """
    return record_type(**{name: _restored(row[name], kind) for name, kind in _hints(record_type).items()})  # type: ignore[arg-type]


def fault(row: Json, columns: Columns) -> str | None:
    """Describe what is wrong with a row under a schema.

    Args:
        row: What was read from JSON, or is to be written.
        columns: Type of every field.

    Returns:
        The first fault in words; None where the row matches.
    """
    if not isinstance(row, dict):
        return f"a row is an object, and this is {row!r:.60}"
    for name in columns:
        if name not in row:
            return f"{name} is missing"
    for name, value in row.items():
        if name not in columns:
            return f"{name} is no field of it"
        if not matches(value, columns[name]):
            return f"{name} is {value!r:.60} and must be {_named(columns[name])}"
    return None


def matches(value: Json, kind: Any) -> bool:
    """Check strictly whether a JSON value is of a type: a boolean is no number, and a number is no text."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return True
    if kind is None or kind is type(None):
        return value is None
    if origin in (Union, types.UnionType):
        return any(matches(value, option) for option in arguments)
    if origin is Literal:
        return any(value == option and type(value) is type(option) for option in arguments)
    if origin in (list, tuple):
        return _matches_list(value, origin, arguments)
    if origin is dict or kind is dict:
        return isinstance(value, dict) and (not arguments or all(matches(v, arguments[1]) for v in value.values()))
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return isinstance(value, dict) and fault(value, columns_of(kind)) is None
    if kind in (list, tuple):
        return isinstance(value, list | tuple)
    if kind is float:
        return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool))
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind in (str, bool):
        return isinstance(value, kind)
    raise TypeError(f"a column cannot be of the type {kind!r}")


def _matches_list(value: Json, origin: Any, arguments: tuple[Any, ...]) -> bool:
    if not isinstance(value, list | tuple):
        return False
    if origin is list or (len(arguments) == 2 and arguments[1] is Ellipsis):
        exact = _exact_types(arguments[0])
        if exact is not None and exact.issuperset(map(type, value)):
            return True
        return all(matches(entry, arguments[0]) for entry in value)
    return len(value) == len(arguments) and all(map(matches, value, arguments))


def _named(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind).replace("typing.", "")


@cache
def _hints(record_type: type) -> Mapping[str, Any]:
    hints = get_type_hints(record_type)
    return {field.name: hints[field.name] for field in dataclasses.fields(record_type)}


@cache
def _exact_types(kind: Any) -> frozenset[type] | None:
    """List the Python types that always match a plain kind, so that long lists are checked at once.

    None for kinds whose entries must be checked one by one.
    """
    if get_origin(kind) in (Union, types.UnionType):
        options = [_exact_types(option) for option in get_args(kind)]
        known = [option for option in options if option is not None]
        return frozenset().union(*known) if len(known) == len(options) else None
    if kind in (str, int, bool):
        return frozenset({kind})
    if kind is float:
        return frozenset({float, int})
    return frozenset({type(None)}) if kind in (None, type(None)) else None


def _listed(value: Any) -> Json:
    if isinstance(value, list | tuple):
        if not PLAIN.issuperset(map(type, value)):
            return [_listed(entry) for entry in value]
        return [None if entry != entry else entry for entry in value]  # NaN alone is not equal to itself
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_row(value)
    if isinstance(value, dict):
        return {str(name): _listed(entry) for name, entry in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def _restored(value: Json, kind: Any) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        option = next((option for option in arguments if matches(value, option)), Any)
        return _restored(value, option)
    if origin is tuple:
        if arguments[-1:] == (Ellipsis,) and _stays(value, arguments[0]):
            return tuple(value)
        kinds = [arguments[0]] * len(value) if arguments[-1:] == (Ellipsis,) else arguments
        return tuple(_restored(entry, kind) for entry, kind in zip(value, kinds, strict=True))
    if origin is list:
        if _stays(value, arguments[0]):
            return list(value)
        return [_restored(entry, arguments[0]) for entry in value]
    if origin is dict:
        return {name: _restored(entry, arguments[1]) for name, entry in value.items()}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return from_row(kind, value)
    if kind is float:
        return math.nan if value is None else float(value)
    return value


def _stays(values: Sequence[Json], kind: Any) -> bool:
    """Check whether no entry of a list has to be converted; integers in a list of floats have to."""
    exact = _exact_types(kind)
    return exact is not None and (exact - {int} if float in exact else exact).issuperset(map(type, values))
