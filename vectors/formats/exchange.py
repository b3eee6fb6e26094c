"""Directions out to another tool's file and in from one: what the command line and `reasonlens` itself call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...models import LanguageModel
from ...rundir import InputError
from ..directions import Directions
from .check import check_directions, check_fits, file_name
from .entry import Format
from .registry import FORMATS, format_named


def export_directions(
    directions: Directions,
    path: str | Path,
    format: str,
    *,
    behaviour: str | None = None,
    layers: Sequence[int] | int | None = None,
    strength: float | None = None,
    model: LanguageModel | None = None,
    force: bool = False,
    **options: Any,
) -> list[Path]:
    """Write directions in another tool's format; returns the files.

    behaviour: which one. Without it, a format of one behaviour gets a file for each in the directory `path`.
    layers: default all. strength: relative dose of a coefficient of 1 in the tool; default the vectors as they stand.
    model: what they are meant for; they are checked against it, and refused if it is another one unless `force`.
    options: of the format (`FORMATS[format].options`).
    Raises InputError for anything that does not fit.
    """
    entry = format_named(format)
    if entry.write is None:
        raise InputError(f"{entry.name} can be read and not written; these can: {_those_that('write')}")
    _check_options(entry, options)
    check_directions(directions)
    if model is not None:
        check_fits(directions, model, force=force)
    if entry.needs_model:
        if model is None:
            raise InputError(f"the format {entry.name} needs the model itself (--model, model=)")
        options |= {"model": model, "force": force}
    elif model is not None:
        directions = replace(directions, model=_known(directions.model, model))
    path = Path(path)
    chosen: dict[Path, str | None] = {path: behaviour}
    if behaviour is None and not entry.several and len(directions.behaviours) > 1 and not entry.needs_model:
        if path.suffix and not path.is_dir():
            raise InputError(
                f"a file of {entry.name} holds one behaviour, and there are {', '.join(directions.behaviours)}: name "
                "one (--behaviour), or give a directory for a file of each (--out)"
            )
        chosen = {path / (file_name(name) + entry.suffix): name for name in directions.behaviours}
    for target, name in chosen.items():
        entry.write(directions, target, behaviour=name, layers=layers, strength=strength, **options)
    return list(chosen)


def import_directions(
    path: str | Path,
    format: str,
    *,
    behaviour: str | None = None,
    model: LanguageModel | None = None,
    force: bool = False,
    **options: Any,
) -> Directions:
    """Read directions from another tool's format.

    behaviour: its name, where the file does not say it; of a file with several, the one to take.
    model: what they belong to; they are checked against it, and its identity is noted.
    Raises InputError for a damaged file, one of another format, vectors that are not finite, and another model.
    """
    entry = format_named(format)
    if entry.read is None:
        raise InputError(f"{entry.name} can be written and not read; these can: {_those_that('read')}")
    _check_options(entry, options)
    directions = entry.read(path, behaviour=behaviour, **options)
    check_directions(directions)
    if model is not None:
        check_fits(directions, model, force=force)
        directions = replace(directions, model=model.identity())
    return directions


def _known(theirs: dict[str, Any], model: LanguageModel) -> dict[str, Any]:
    """What the directions say of their model; where that is nothing, what `model` says."""
    return theirs if theirs.get("name") else theirs | model.identity()


def _check_options(entry: Format, options: dict[str, Any]) -> None:
    for name, value in options.items():
        if name not in entry.options:
            raise InputError(
                f"the format {entry.name} has no option {name!r}; it has {', '.join(entry.options) or 'none'}"
            )
        kind = entry.options[name]
        number = kind is float and isinstance(value, int)
        if not (isinstance(value, kind) or number) or (isinstance(value, bool) and kind is not bool):
            raise InputError(f"the option {name} of {entry.name} takes a value of type {kind.__name__}, not {value!r}")


def _those_that(verb: str) -> str:
    return ", ".join(name for name, entry in FORMATS.items() if getattr(entry, verb) is not None)
