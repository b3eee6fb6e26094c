"""What comes in: rows from another tool's file as Directions, with what the file says about them and no more.

What no file of another tool says stays unknown: the residual norm is NaN, so that only absolute strengths can be used,
and the model's identity holds what the file names.
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
from ..directions import Directions
from .check import check_finite
from .selection import ORIGIN

MAX_LAYERS = 4096  # more than any model has: beyond it a number is damage
MAX_WIDTH = 1 << 20


def imported(
    rows: Mapping[str, Mapping[int, Float[Tensor, " d_model"]]],
    *,
    path: Path,
    method: str,
    model: dict[str, Any] | None = None,
    n_examples: dict[str, int] | None = None,
) -> Directions:
    """Directions of behaviour -> layer -> vector. All behaviours must have the same layers and width.

    Raises InputError for no rows, a layer below 0 or absurdly high, vectors of different widths, and vectors that are
    not finite.
    """
    if not rows or not all(rows.values()):
        raise InputError(f"{path} holds no directions")
    layers = sorted(next(iter(rows.values())))
    widths = set()
    for behaviour, of_layer in rows.items():
        if sorted(of_layer) != layers:
            raise InputError(f"{path} has other layers for {behaviour!r} than for {next(iter(rows))!r}")
        for layer, row in of_layer.items():
            if not 0 <= layer < MAX_LAYERS:
                raise InputError(f"{path} speaks of layer {layer}, which no model has (0..{MAX_LAYERS - 1})")
            if row.ndim != 1 or not 0 < len(row) <= MAX_WIDTH:
                raise InputError(f"{path} has a tensor of shape {tuple(row.shape)} at layer {layer}, and no vector")
            widths.add(len(row))
            check_finite(row, behaviour, layer)
    if len(widths) > 1:
        raise InputError(f"{path} holds vectors of different widths: {', '.join(map(str, sorted(widths)))}")
    return Directions(
        vectors={name: torch.stack([of_layer[layer].float() for layer in layers]) for name, of_layer in rows.items()},
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
    """Directions of a file that holds one behaviour, with what `origin` says of it; `model` where it says nothing.

    The behaviour is called as given, else as the file says, else like the file.
    """
    known = origin.get("model") or model
    return imported({named(path, origin, behaviour): rows}, path=path, method=method, model=known)


def rows_of_table(
    table: Float[Tensor, "n_rows d_model"], shift: int = 0, *, path: Path
) -> dict[int, Float[Tensor, " d_model"]]:
    """Layer -> row of a table in which block L stands at L + `shift`; rows of zeros only mean that there is none."""
    if table.ndim != 2 or not table.is_floating_point():
        raise InputError(
            f"{path} holds a tensor of shape {tuple(table.shape)} ({str(table.dtype).removeprefix('torch.')}), and a "
            "table of vectors (one row for each layer) was expected"
        )
    if len(table) > MAX_LAYERS + 1:
        raise InputError(f"{path} has {len(table)} rows, and no model has as many layers")
    filled = (table != 0).any(dim=1).tolist()  # NaN is not 0, so that it is found later and named
    return {index - shift: table[index] for index in range(shift, len(table)) if filled[index]}


def origin_of(text: str | None) -> dict[str, Any]:
    """What `Selection.origin` wrote, as far as it is sound; {} for a file that is not of ours."""
    try:
        origin = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return sound_origin(origin)


def sound_origin(origin: Any) -> dict[str, Any]:
    """`behaviour` (str) and `model` (dict) of an origin, those that are of these types."""
    if not isinstance(origin, dict) or origin.get("format") != ORIGIN:
        return {}
    kinds: dict[str, type] = {"behaviour": str, "model": dict}
    return {key: origin[key] for key, kind in kinds.items() if isinstance(origin.get(key), kind)}


def named(path: Path, origin: dict[str, Any], behaviour: str | None) -> str:
    """The behaviour's name: as given, else as the file says, else the file's own name."""
    name: str = behaviour or origin.get("behaviour") or path.name.split(".")[0] or "direction"
    return name
