"""What a pair is by content, and the folder that it has in the directory of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..models import LanguageModel
from ..rundir import InputError, short_name
from .pair import Pair


def inputs_of(pair: Pair) -> dict[str, Any]:
    """List what results depend on beside the settings: by content, neither by name nor by place.

    Args:
        pair: The pair.

    Returns:
        Name of the input -> its content, in short.
    """
    return {
        "base": _content(pair.base),
        "thinking": _content(pair.thinking),
        "problems": pair.digest[:16],
        "templates": [pair.base_template, pair.thinking_template],
        "annotator": _name(pair.annotator),
        "grader": _name(pair.grader),
    }


def folder_of(pair: str) -> str:
    """Name the folder of a pair in the directory of a run.

    Args:
        pair: Its name.
    """
    return short_name(pair.replace("/", "--"))


def folders_of(pairs: Sequence[Pair]) -> dict[str, str]:
    """Name the folders of pairs.

    Args:
        pairs: One or more, each with a name of its own.

    Returns:
        Name of each pair -> its folder.

    Raises:
        InputError: There is none, or two have one name.
    """
    folders: dict[str, str] = {}
    for pair in pairs:
        folder = folder_of(pair.name)
        if pair.name in folders or folder in folders.values():
            raise InputError(f"two pairs are called {pair.name!r}: leave one out, or give each a name of its own")
        folders[pair.name] = folder
    if not folders:
        raise InputError("there is no pair to run: give at least one thinking model")
    return folders


def _content(model: LanguageModel) -> str:
    return f"{model.fingerprint} {model.model.dtype}".replace("torch.", "")


def _name(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{getattr(function, '__qualname__', type(function).__qualname__)}"
