"""Export directions to another tool's file, import them from one, and convert one tool's file into another's."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...activations.layers import written_layers
from ...models import LanguageModel
from ...rundir import InputError, expanded, listed
from .._directions import Directions
from ..choice import Choice
from .check import check_directions, check_fits, file_name
from .entry import Format
from .registry import FORMATS, format_named

logger = logging.getLogger(__name__)


def export(
    directions: Directions | str | Path,
    path: str | Path,
    format: str,
    *,
    behaviour: str | None = None,
    layers: str | Sequence[int] | int | None = None,
    strength: float | None = None,
    model: LanguageModel | None = None,
    force: bool = False,
    **options: Any,
) -> list[Path]:
    """Write directions in another tool's format.

    Args:
        directions: The directions to write, or the file of reasonlens that holds them.
        path: The file to write, or a directory if several behaviours go into a file each.
        format: A name in `FORMATS`.
        behaviour: Which behaviour to write. None means all; a format that holds only one then gets a file for each in
            the directory `path`.
        layers: The 0-based blocks to write, or a text such as "8:12"; None means all that the tool can steer, and
            those that are left out are logged.
        strength: What a coefficient of 1 in the tool adds, in units of the mean residual norm. None writes the vectors
            as they are. With neither, a behaviour whose layer and strength were sought (`steer_find`) is written there,
            so strong.
        model: The model that they are meant for; they are checked against it.
        force: Accept directions of another model of the same shape.
        **options: Options of the format (`FORMATS[format].options`).

    Returns:
        The files that were written.

    Raises:
        InputError: The format, an option, a behaviour, a layer or the model does not fit.
    """
    entry = format_named(format)
    strength = None if strength is None else float(strength)  # 1 and 1.0 write the same bytes
    if entry.write is None:
        raise InputError(f"{entry.name} can be read and not written; these can: {_formats_that_can('write')}")
    _check_options(entry, options)
    if isinstance(directions, str | Path):
        directions = Directions.open(directions)
    path = expanded(path)
    check_directions(directions)
    if model is not None:
        check_fits(directions, model, force=force)
    if entry.needs_model:
        if model is None:
            raise InputError(f"the format {entry.name} needs the model itself (--model, model=)")
        options |= {"model": model, "force": force}
    elif model is not None:
        directions = replace(directions, model=_model_identity(directions.model, model))
    takes_choices = layers is None and strength is None
    if layers is None:
        layers = _writable_layers(entry, directions)
    targets: dict[Path, str | None] = {path: behaviour}
    if behaviour is None and not entry.several and len(directions.behaviours) > 1 and not entry.needs_model:
        if path.suffix and not path.is_dir():
            raise InputError(
                f"a file of {entry.name} holds one behaviour, and there are {listed(directions.behaviours, 10)}: name "
                "one (--behaviour), or give a directory for a file of each (--out)"
            )
        targets = {path / (file_name(name) + entry.suffix): name for name in directions.behaviours}
    for target, name in targets.items():
        own = _choice_of(directions, name) if takes_choices else None
        if own is not None:
            logger.info(f"{target}: layer {own.layer}, strength {own.strength:g}, as they were found ({own.about})")
        entry.write(
            directions,
            target,
            behaviour=name,
            layers=layers if own is None else (own.layer,),
            strength=strength if own is None else own.strength,
            **options,
        )
    return list(targets)


def exported_at(
    directions: Directions,
    format: str,
    *,
    behaviour: str | None = None,
    layers: str | Sequence[int] | int | None = None,
    strength: float | None = None,
) -> tuple[tuple[int, ...], float | None]:
    """Name the layers of a file that `export` writes with these arguments, and the strength that it holds.

    Args:
        directions: The directions that are written.
        format: A name in `FORMATS`.
        behaviour: The behaviour of the file; None: it holds all.
        layers: As given to `export`.
        strength: As given to `export`.

    Returns:
        The 0-based blocks, and the strength; None where the vectors are written as they are.
    """
    choice = _choice_of(directions, behaviour)
    if layers is None and strength is None and choice is not None:
        return (choice.layer,), choice.strength
    if layers is not None:
        return directions.choose_layers(layers), strength
    reasons = format_named(format).cannot_steer(directions)
    return tuple(layer for layer in directions.layers if layer not in reasons), strength


def import_(
    path: str | Path,
    format: str,
    *,
    behaviour: str | None = None,
    model: LanguageModel | None = None,
    force: bool = False,
    **options: Any,
) -> Directions:
    """Read directions from another tool's file.

    Args:
        path: The file to read.
        format: A name in `FORMATS`.
        behaviour: The name for the behaviour where the file does not state one; the one to take from a file with
            several.
        model: The model that they belong to; they are checked against it, and its identity is stored with them.
        force: Accept a file of another model of the same shape.
        **options: Options of the format (`FORMATS[format].options`).

    Returns:
        The directions. Their residual norm is unknown (NaN) unless the file states it.

    Raises:
        InputError: The file is damaged or of another format, a vector is not finite, or the model is another one.
    """
    entry = format_named(format)
    if entry.read is None:
        raise InputError(f"{entry.name} can be written and not read; these can: {_formats_that_can('read')}")
    _check_options(entry, options)
    directions = entry.read(expanded(path), behaviour=behaviour, **options)
    check_directions(directions)
    if model is not None:
        check_fits(directions, model, force=force)
        directions = replace(directions, model=model.identity())
    return directions


def convert(
    source: str | Path,
    target: str | Path,
    from_: str,
    to: str,
    *,
    behaviour: str | None = None,
    layers: str | Sequence[int] | int | None = None,
    strength: float | None = None,
    model: LanguageModel | None = None,
    force: bool = False,
    **options: Any,
) -> list[Path]:
    """Turn one tool's file of vectors into another's, each with its own count of layers.

    Args:
        source: The file to read.
        target: The file to write, or a directory if several behaviours go into a file each.
        from_: The format of `source`, a name in `FORMATS`.
        to: The format of `target`, a name in `FORMATS`.
        behaviour: The one to take; the name for it where the source does not state one. None means all.
        layers: The 0-based blocks to write, or a text such as "8:12"; None means all.
        strength: What a coefficient of 1 in the tool adds, in units of the mean residual norm. None writes the vectors
            as they are.
        model: The model that they belong to; they are checked against it.
        force: Accept a file of another model of the same shape.
        **options: Options of the format of `target` where it has them, else of that of `source`.

    Returns:
        The files that were written.

    Raises:
        InputError: `import_` or `export` would refuse.
    """
    writing = {name: value for name, value in options.items() if name in format_named(to).options}
    reading = {name: value for name, value in options.items() if name not in writing}
    directions = import_(source, from_, behaviour=behaviour, model=model, force=force, **reading)
    files = export(
        directions,
        target,
        to,
        behaviour=behaviour,
        layers=layers,
        strength=strength,
        model=model,
        force=force,
        **writing,
    )
    logger.info("layers %s of reasonlens's count", written_layers(directions.choose_layers(layers)))
    return files


def _choice_of(directions: Directions, behaviour: str | None) -> Choice | None:
    """Look up where and how strongly a behaviour, or the only one, was found to steer."""
    only = directions.behaviours[0] if len(directions.behaviours) == 1 else ""
    return directions.choices.get(behaviour or only)


def _writable_layers(entry: Format, directions: Directions) -> Sequence[int] | None:
    """Leave out the layers that the tool cannot steer, and say so; None where it can steer all."""
    reasons = entry.cannot_steer(directions)
    if not reasons:
        return None
    for layer, why in reasons.items():
        logger.warning(f"layer {layer} is left out: {why}")
    writable = [layer for layer in directions.layers if layer not in reasons]
    if not writable:
        raise InputError(
            f"no layer is left to write: {entry.name} cannot steer {listed(map(str, directions.layers), 10)}"
        )
    return writable


def _model_identity(stated: dict[str, Any], model: LanguageModel) -> dict[str, Any]:
    """Return the identity that the directions state, or that of `model` where they state no name."""
    return stated if stated.get("name") else stated | model.identity()


def _check_options(entry: Format, options: dict[str, Any]) -> None:
    for name, value in options.items():
        if name not in entry.options:
            raise InputError(
                f"the format {entry.name} has no option {name!r}; it has {', '.join(entry.options) or 'none'}"
            )
        kind = entry.options[name]
        is_whole_number = kind is float and isinstance(value, int)
        if not (isinstance(value, kind) or is_whole_number) or (isinstance(value, bool) and kind is not bool):
            raise InputError(f"the option {name} of {entry.name} takes a value of type {kind.__name__}, not {value!r}")


def _formats_that_can(verb: str) -> str:
    return ", ".join(name for name, entry in FORMATS.items() if getattr(entry, verb) is not None)
