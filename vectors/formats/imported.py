"""Turn rows from another tool's file into Directions, with what the file states about them and no more.

What the file does not state stays unknown: the residual norm is NaN, so that only absolute strengths can be used, and
the model's identity holds only what the file names.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ...rundir import InputError
from .._directions import Directions
from ..soundness import MAX_LAYERS, MAX_WIDTH, check_finite, check_sizes
from .selection import ORIGIN


def imported(
    rows: Mapping[str, Mapping[int, Float[Tensor, " d_model"]]],
    *,
    path: Path,
    method: str,
    model: dict[str, Any] | None = None,
    n_examples: dict[str, int] | None = None,
) -> Directions:
    """Make directions of behaviour -> layer -> vector. All behaviours must have the same layers and width.

    Raises InputError for no rows, a layer below 0 or absurdly high, sizes that no model has, vectors of different
    widths, and vectors that are not finite.
    """
    if not rows or not all(rows.values()):
        raise InputError(f"{path} holds no directions")
    layers = sorted(next(iter(rows.values())))
    widths = set()
    for behaviour, layer_rows in rows.items():
        if sorted(layer_rows) != layers:
            raise InputError(f"{path} has other layers for {behaviour!r} than for {next(iter(rows))!r}")
        for layer, row in layer_rows.items():
            if not 0 <= layer < MAX_LAYERS:
                raise InputError(f"{path} speaks of layer {layer}, which no model has (0..{MAX_LAYERS - 1})")
            if row.ndim != 1 or not 0 < len(row) <= MAX_WIDTH:
                raise InputError(f"{path} has a tensor of shape {tuple(row.shape)} at layer {layer}, and no vector")
            widths.add(len(row))
            check_finite(row, behaviour, layer)
    if len(widths) > 1:
        raise InputError(f"{path} holds vectors of different widths: {', '.join(map(str, sorted(widths)))}")
    check_sizes(model or {}, layers, path)
    return Directions(
        vectors={
            name: torch.stack([layer_rows[layer].float() for layer in layers]) for name, layer_rows in rows.items()
        },
        layers=tuple(layers),
        method=method,
        model=model or {},
        read="not known",
        residual_norm=(math.nan,) * len(layers),
        n_examples=n_examples or {},
        n_problems=0,
    )


def one_behaviour(
    rows: Mapping[int, Float[Tensor, " d_model"]],
    *,
    path: Path,
    origin: dict[str, Any],
    behaviour: str | None,
    method: str,
    model: dict[str, Any] | None = None,
) -> Directions:
    """Make directions of a file that holds one behaviour; `model` is used where `origin` states none.

    The behaviour is called `behaviour`, else as the file states, else like the file.
    """
    identity = origin.get("model") or model
    return imported({behaviour_name(path, origin, behaviour): rows}, path=path, method=method, model=identity)


def rows_of_table(
    table: Float[Tensor, "n_rows d_model"], shift: int = 0, *, path: Path
) -> dict[int, Float[Tensor, " d_model"]]:
    """Map layers to the rows of a table with block L at row L + `shift`; a row of zeros stands for no vector."""
    if table.ndim != 2 or not table.is_floating_point():
        raise InputError(
            f"{path} holds a tensor of shape {tuple(table.shape)} ({str(table.dtype).removeprefix('torch.')}), and a "
            "table of vectors (one row for each layer) was expected"
        )
    if len(table) > MAX_LAYERS + 1:
        raise InputError(f"{path} has {len(table)} rows, and no model has as many layers")
    has_vector = (table != 0).any(dim=1).tolist()  # true for NaN, which later checks then name
    return {index - shift: table[index] for index in range(shift, len(table)) if has_vector[index]}


def origin_of(text: str | None) -> dict[str, Any]:
    """Parse what `Selection.origin` wrote, as far as it is sound; {} for a file that we did not write."""
    try:
        origin = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return sound_origin(origin)


def sound_origin(origin: Any) -> dict[str, Any]:
    """Return `behaviour` (str) and `model` (dict) of an origin, as far as they have these types."""
    if not isinstance(origin, dict) or origin.get("format") != ORIGIN:
        return {}
    kinds: dict[str, type] = {"behaviour": str, "model": dict}
    return {key: origin[key] for key, kind in kinds.items() if isinstance(origin.get(key), kind)}


def behaviour_name(path: Path, origin: dict[str, Any], behaviour: str | None) -> str:
    """Choose the behaviour's name: `behaviour`, else what the file states, else the name of the file."""
    name: str = behaviour or origin.get("behaviour") or path.name.split(".")[0] or "direction"
    return name
