"""Read files that anybody may have written: what is missing, damaged or of another kind becomes one InputError.

A reader wraps its body in `reading`, so that no file raises anything else: no JSON, too deep, or with endless numbers,
no UTF-8, no safetensors, or values of other shapes than it expects.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError, safe_open

from .errors import InputError, short
from .names import nearest_file
from .places import expanded

Result = TypeVar("Result")

WRONG_SHAPE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError, AssertionError)
JSON_NAMES = {dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a whole number"}
HOLDS_MANY = {"manifest.json": "activations", "moments.safetensors": "moments"}  # file of a directory -> what is in it


@contextmanager
def reading(source: str | Path, what: str) -> Iterator[None]:
    """Convert whatever a file raises that cannot be read as `what` to an InputError that names it.

        with reading(path, "probes"):
            return SavedProbes(**json.loads(path.read_text("utf-8")))

    Args:
        source: The file, or a file and line, as the message names it.
        what: What is read, such as "probes".

    Yields:
        Nothing.

    Raises:
        InputError: The body raised an error of a file or of the shape of its content.
    """
    name = short(source)
    try:
        yield
    except InputError as error:
        if name in str(error):
            raise
        raise InputError(f"{name} is damaged, or was not written by reasonlens: {error}") from error
    except OSError as error:
        reason = f"{error.strerror or error}".rstrip(".")
        raise InputError(f"cannot read {what} from {name}: {reason}.{nearest_file(source)}") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"cannot read {what} from {name}: byte {error.start} is not UTF-8 ({error.reason}); save it as UTF-8"
        ) from error
    except SafetensorError as error:
        raise InputError(f"cannot read {what} from {name}: {error}") from error
    except (*WRONG_SHAPE, RecursionError) as error:
        raise InputError(
            f"{name} is damaged, or was not written by reasonlens: {_reason(error)}; write it again"
        ) from error


def parse_json(text: str | bytes, source: str | Path) -> Any:
    """Parse JSON.

    Args:
        text: The text, or its UTF-8.
        source: Where it stands, as the message names it.

    Returns:
        The value.

    Raises:
        InputError: It is no JSON, nested too deeply, or holds a number of thousands of digits.
    """
    try:
        return json.loads(text.decode() if isinstance(text, bytes) else text)
    except UnicodeDecodeError as error:
        raise InputError(f"{short(source)}: byte {error.start} is not UTF-8; save it as UTF-8") from error
    except RecursionError as error:
        raise InputError(f"{short(source)}: nested too deeply; no file of reasonlens is") from error
    except ValueError as error:
        if "digits" in str(error):
            raise InputError(f"{short(source)}: holds a number of thousands of digits; shorten it") from error
        raise InputError(f"{short(source)}: not valid JSON ({error})") from error


def read_json(path: str | Path, what: str) -> Any:
    """Read a JSON file.

    Args:
        path: The file.
        what: What it holds, for the message.

    Returns:
        The value.

    Raises:
        InputError: The file cannot be read or is no JSON.
    """
    with reading(path, what):
        return parse_json(Path(path).read_text("utf-8"), path)


def read_description(path: str | Path, what: str, formats: tuple[str, ...], remedy: str) -> dict[str, Any]:
    """Read the JSON description in the metadata of a safetensors file of reasonlens.

    Args:
        path: The file.
        what: What it should hold, such as "probes".
        formats: The values of `format` that are accepted.
        remedy: What to give instead of another file.

    Returns:
        The description.

    Raises:
        InputError: The file cannot be read, or holds something else; the message says what.
    """
    path = expanded(path)
    if path.is_dir():
        inside = next((content for file, content in HOLDS_MANY.items() if (path / file).is_file()), None)
        if inside is None:
            raise InputError(f"cannot read {what} from {short(path)}: it is a directory; {remedy}")
        raise InputError(f"{short(path)} holds no {what} of reasonlens, it is a directory of {inside}: {remedy}")
    with reading(path, what), safe_open(path, framework="pt") as file:
        text = (file.metadata() or {}).get("reasonlens", "{}")
    description = parse_json(text, path)
    stated = description.get("format") if isinstance(description, dict) else None
    if stated in formats:
        return dict(description)
    kind = stated.removeprefix("reasonlens.").partition("/")[0] if isinstance(stated, str) else ""
    other = f"it holds {kind[:40]} ({stated[:60]})" if isinstance(stated, str) else "it is a file of another tool"
    if kind == what:
        other = f"it is of another version ({stated})"
    raise InputError(f"{short(path)} holds no {what} of reasonlens (format {formats[0]}), {other}: {remedy}")


def check_kinds(content: Any, kinds: Mapping[str, type], source: str | Path) -> dict[str, Any]:
    """Check that plain values are an object with fields of certain kinds.

    Args:
        content: What was read from JSON.
        kinds: Field -> its type: dict, list, str, bool, int.
        source: The file, as the message names it.

    Returns:
        The object.

    Raises:
        InputError: It is no object, or a field is missing or of another kind.
    """
    if not isinstance(content, dict):
        raise InputError(f"{short(source)} is damaged: it holds {_json_name(content)}, and an object belongs there")
    for name, kind in kinds.items():
        value = content.get(name)
        if name not in content or not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            is_there = _json_name(value) if name in content else "missing"
            raise InputError(
                f"{short(source)} is damaged: its {name} is {is_there}, and {JSON_NAMES[kind]} belongs there; write it "
                "again"
            )
    return content


def restoring(
    restore: Callable[[type[Result], Mapping[str, Any]], Result],
) -> Callable[[type[Result], Mapping[str, Any]], Result]:
    """Make a `from_dict` raise InputError for plain values of another shape than its result has.

    Args:
        restore: The method, as it stands below `@classmethod`.

    Returns:
        The same method, which raises nothing else.
    """

    @wraps(restore)
    def restore_or_refuse(cls: type[Result], content: Mapping[str, Any]) -> Result:
        try:
            return restore(cls, content)
        except InputError:
            raise
        except (*WRONG_SHAPE, RecursionError) as error:
            raise InputError(
                f"this is no {cls.__name__} as reasonlens writes it: {_reason(error)}; read it with what wrote it, or "
                "write the result again"
            ) from error

    return restore_or_refuse


def _json_name(value: Any) -> str:
    return "null" if value is None else JSON_NAMES.get(type(value), "a number")


def _reason(error: BaseException) -> str:
    """Describe an error of the shape of some content in a few words."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, KeyError):
        return f"it lacks {str(error)[:80]}"
    return (" ".join(str(error).split()) or type(error).__name__)[:160]
