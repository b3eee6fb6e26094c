"""Read behaviour sets from YAML: those that come with reasonlens by name, any other from its file.

    name: mine
    source: our annotation guide
    behaviours:
      doubling-back:
        definition: returns to an idea that was dropped before
        examples: [Back to the first idea.]
        words: [back to, after all]

`source`, `examples` and `words` may be missing, and the name is the file's without one. Every scalar is read as text,
so that the words no, yes and on need no quotes. A key that is not listed here is refused, as is one that stands twice.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ...rundir import InputError, did_you_mean, expanded, is_there, nearest_file, shown
from .behaviour_set import Behaviour, BehaviourSet

BUILT_IN = ("bundled", "published", "cognitive", "anchors")
KEYS = ("name", "source", "behaviours")
BEHAVIOUR_KEYS = ("definition", "examples", "words")
MAX_BYTES = 2**18


def open_behaviour_set(source: str | Path | BehaviourSet) -> BehaviourSet:
    """Open a behaviour set.

    Args:
        source: A name of `BUILT_IN`, a YAML (or JSON) file, or a set, which is returned as it is.

    Returns:
        The set.

    Raises:
        InputError: There is no such set or file, or the file is no behaviour set; the message says what is wrong.
    """
    if isinstance(source, BehaviourSet):
        return source
    if isinstance(source, str) and source in BUILT_IN:
        return _built_in(source)
    path = expanded(source)
    if not is_there(path):
        raise InputError(
            f"there is no behaviour set {str(source)!r:.80}: give one of {', '.join(BUILT_IN)}, or a YAML file of "
            f"behaviours with their definitions.{did_you_mean(str(source), BUILT_IN) or nearest_file(path)}"
        )
    return _read(path)


@cache
def _built_in(name: str) -> BehaviourSet:
    return _read(Path(__file__).with_name(f"{name}.yaml"))


def _read(path: Path) -> BehaviourSet:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read behaviours from {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read behaviours from {path}: byte {error.start} is not UTF-8; save it so") from error
    if len(content) > MAX_BYTES:
        raise InputError(f"{path} holds more than {MAX_BYTES:,} bytes, and a behaviour set is a small file; name that")
    try:
        return _set(yaml.load(text, Loader=_TextLoader), path)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or str(error)
        raise InputError(f"{path}{where}: no YAML ({reason}); quote texts that hold a colon or a bracket") from error
    except RecursionError as error:
        raise InputError(f"{path}: nested too deeply for a behaviour set") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


class _TextLoader(yaml.BaseLoader):  # type: ignore[misc]
    """Load YAML whose scalars are all texts, and refuse a key that stands twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Make a mapping of a node."""
        keys = [key.value for key, _ in node.value]
        earlier: set[str] = set()
        for number, key in enumerate(keys):
            if not isinstance(key, str) or key in earlier:
                problem = f"the key {key!r:.60} stands twice" if isinstance(key, str) else "a key is no text"
                raise yaml.constructor.ConstructorError(None, None, problem, node.value[number][0].start_mark)
            earlier.add(key)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping


def _set(content: Any, path: Path) -> BehaviourSet:
    rows = _fields(content, KEYS, "a behaviour set")
    behaviours = rows.get("behaviours")
    if not isinstance(behaviours, dict):
        raise InputError("'behaviours' must map each behaviour's name to its definition, examples and words")
    return BehaviourSet(
        name=_text(rows.get("name", path.stem), "name"),
        source=_text(rows.get("source", ""), "source"),
        behaviours=tuple(_behaviour(name, row) for name, row in behaviours.items()),
    )


def _behaviour(name: str, content: Any) -> Behaviour:
    row = _fields(content, BEHAVIOUR_KEYS, f"the behaviour {name!r:.60}")
    words = (" ".join(word.lower().split()) for word in _texts(row.get("words", []), f"words of {name}"))
    return Behaviour(
        name=name,
        definition=" ".join(_text(row.get("definition", ""), f"definition of {name}").split()),
        examples=_texts(row.get("examples", []), f"examples of {name}"),
        words=tuple(dict.fromkeys(words)),
    )


def _fields(content: Any, keys: tuple[str, ...], what: str) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise InputError(f"{what} has the keys {', '.join(keys)}, and {shown(content)} stands there")
    for key in content:
        if key not in keys:
            raise InputError(f"{what} has no key {key!r:.60}; the keys are {', '.join(keys)}.{did_you_mean(key, keys)}")
    return content


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"the {what} must be a text, and is {shown(value)}")
    return value


def _texts(value: Any, what: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) and text.strip() for text in value):
        raise InputError(f"the {what} must be a list of texts that are not empty, and are {shown(value)}")
    return tuple(value)
