"""Read and write reasonlens's own file: every behaviour's vectors as they are, with where they came from.

Reading checks the header and each field of the description before `Directions.open` uses them, and then shapes, layers
and numbers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...rundir import InputError
from .._directions import FORMAT as DIRECTIONS_FORMAT
from .._directions import Directions
from .check import check_directions
from .entry import Format
from .tensor_file import check_header

_KINDS: dict[str, type | tuple[type, ...]] = {
    "method": str,
    "model": dict,
    "site": str,
    "read": str,
    "operation": str,
    "data_digest": str,
    "layers": list,
    "residual_norm": list,
    "norms": dict,
    "n_examples": dict,
    "n_problems": int,
    "scores": dict,
}


def write(
    directions: Directions,
    path: str | Path,
    *,
    behaviour: str | None = None,
    layers: Sequence[int] | int | None = None,
    strength: float | None = None,
) -> None:
    """Write all behaviours, or `behaviour` alone; raise InputError for a strength, which this file does not take."""
    if strength is not None:
        raise InputError("reasonlens's own files hold vectors as they stand: give the strength where you steer")
    restrict(directions, behaviour, layers).save(path)


def read(path: str | Path, *, behaviour: str | None = None) -> Directions:
    """Read all behaviours of a file, or `behaviour` alone; raise InputError for a damaged file or another tool's."""
    path = Path(path)
    _check_description(check_header(path).get("reasonlens"), path)
    try:
        directions = Directions.open(path)
        check_directions(directions)
    except InputError as error:
        raise InputError(str(error) if str(path) in str(error) else f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise InputError(f"{path} is damaged: {type(error).__name__} {error}") from error
    return restrict(directions, behaviour, None)


def restrict(directions: Directions, behaviour: str | None, layers: Sequence[int] | int | None) -> Directions:
    """Restrict directions to one behaviour (None: all) and some layers (None: all)."""
    names = directions.behaviours if behaviour is None else (directions[behaviour].behaviour,)
    chosen = directions.layers if layers is None else (layers,) if isinstance(layers, int) else sorted(set(layers))
    for layer in chosen:
        directions[names[0]].at(layer)  # raises InputError for a layer that is not covered
    rows = [directions.layers.index(layer) for layer in chosen]

    def at_rows(values: list[float]) -> list[float]:
        return [values[row] for row in rows] if len(values) == len(directions.layers) else values

    scores = {
        name: {score: at_rows(values) for score, values in directions.scores.get(name, {}).items()} for name in names
    }
    return replace(
        directions,
        vectors={name: directions.vectors[name][rows] for name in names},
        layers=tuple(chosen),
        residual_norm=tuple(directions.residual_norm[row] for row in rows),
        n_examples={name: count for name, count in directions.n_examples.items() if name in names},
        n_problems_showing={name: count for name, count in directions.n_problems_showing.items() if name in names},
        scores={name: layer_scores for name, layer_scores in scores.items() if layer_scores},
    )


def _check_description(text: str | None, path: Path) -> None:
    try:
        description: Any = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged: its description is no JSON") from error
    if not isinstance(description, dict) or description.get("format") != DIRECTIONS_FORMAT:
        raise InputError(f"{path} holds no directions of reasonlens (format {DIRECTIONS_FORMAT})")
    for key, kind in _KINDS.items():
        if not isinstance(description.get(key), kind):
            raise InputError(f"{path} is damaged: its description has no {key}, or one of another kind")
    if not isinstance(description.get("n_problems_showing", {}), dict):
        raise InputError(f"{path} is damaged: its n_problems_showing is of another kind")
    if not all(type(layer) is int for layer in description["layers"]):
        raise InputError(f"{path} is damaged: its layers are not all whole numbers")
    norms = [norm for norm in description["residual_norm"] if norm is not None]
    if not all(isinstance(norm, int | float) and 0 <= norm < float("inf") for norm in norms):
        raise InputError(f"{path} is damaged: its residual norms are not all numbers from 0")
    for name, layer_scores in description["scores"].items():
        if not isinstance(layer_scores, dict) or not all(isinstance(score, list) for score in layer_scores.values()):
            raise InputError(f"{path} is damaged: its scores for {name[:80]!r} are no lists")


FORMAT = Format(
    name="safetensors",
    about="reasonlens's own file: all behaviours, with where they came from",
    suffix=".safetensors",
    index="row i belongs to block layers[i]",
    coefficient="strength 1 is the mean residual norm along the vector",
    read=read,
    write=write,
    several=True,
)
