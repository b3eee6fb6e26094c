"""Read and write reasonlens's own file: every behaviour's vectors as they are, with where they came from.

Reading checks the header before `Directions.open` checks each field of the description, shapes, layers and numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ...rundir import InputError
from .._directions import Directions
from .entry import Format
from .tensor_file import check_header


def write(
    directions: Directions,
    path: str | Path,
    *,
    behaviour: str | None = None,
    layers: str | Sequence[int] | int | None = None,
    strength: float | None = None,
) -> None:
    """Write all behaviours, or `behaviour` alone; raise InputError for a strength, which this file does not take."""
    if strength is not None:
        raise InputError("reasonlens's own files hold vectors as they stand: give the strength where you steer")
    restrict(directions, behaviour, layers).save(path)


def read(path: str | Path, *, behaviour: str | None = None) -> Directions:
    """Read all behaviours of a file, or `behaviour` alone; raise InputError for a damaged file or another tool's."""
    path = Path(path)
    check_header(path)
    directions = Directions.open(path)
    return restrict(directions, behaviour, None)


def restrict(directions: Directions, behaviour: str | None, layers: str | Sequence[int] | int | None) -> Directions:
    """Restrict directions to one behaviour (None: all) and some layers (None: all)."""
    names = directions.behaviours if behaviour is None else (directions[behaviour].behaviour,)
    chosen = directions.choose_layers(layers)
    if not chosen:
        raise InputError(f"no layer is left to write; there are {', '.join(map(str, directions.layers))}")
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
        injection=tuple(rate for rate in directions.injection if rate.behaviour in names and rate.layer in chosen),
    )


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
