"""Check that vectors and norms are finite and of sound shapes: a NaN that is written once turns up as nonsense."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ..rundir import InputError

MAX_LAYERS = 4096  # more than any model has: a larger number means a damaged file
MAX_WIDTH = 1 << 20
RESERVED = "__metadata__"  # of safetensors


def check_sizes(model: Mapping[str, Any], layers: Sequence[int], path: str | Path) -> None:
    """Check the sizes of the model that a file of vectors states, where it states them.

    Args:
        model: What the file says of its model.
        layers: The layers that it has vectors for.
        path: The file, for the message.

    Raises:
        InputError: A size is not a whole number, or one that no model with these layers has.
    """
    for key, smallest, largest in (("n_layers", max(layers, default=0) + 1, MAX_LAYERS), ("d_model", 1, MAX_WIDTH)):
        size = model.get(key)
        if size is not None and not (type(size) is int and smallest <= size <= largest):
            raise InputError(
                f"{path} is damaged: it states {key} = {size!r:.40} for its model, and a whole number from {smallest} "
                f"to {largest} is possible; write it again"
            )


def check_finite(row: Float[Tensor, " d_model"], behaviour: str, layer: int) -> None:
    """Check that a vector and its norm are finite.

    Args:
        row: The vector.
        behaviour: The behaviour it stands for, for the message.
        layer: Its layer, for the message.

    Raises:
        InputError: The vector holds NaN or infinity, or its norm is beyond float32.
    """
    if not torch.isfinite(row).all():
        kind = "NaN" if torch.isnan(row).any() else "infinity"
        raise InputError(
            f"the vector for {behaviour!r} at layer {layer} holds {kind}; leave that layer out or find it again"
        )
    if not torch.isfinite(row.float().norm()):
        raise InputError(f"the vector for {behaviour!r} at layer {layer} is too large: its norm is beyond float32")


def check_names(behaviours: Iterable[str]) -> None:
    """Check that a file can hold vectors under the names of their behaviours.

    Args:
        behaviours: The names.

    Raises:
        InputError: A name is one that the file format keeps for itself, or is no text that can be written.
    """
    for name in behaviours:
        if name == RESERVED:
            raise InputError(f"a behaviour cannot be called {name!r}, which files keep for themselves: rename it")
        if any("\ud800" <= letter <= "\udfff" for letter in name):
            raise InputError(f"the behaviour {name!r:.80} holds half of a surrogate pair, which is no text: rename it")


def check_all_finite(
    vectors: Mapping[str, Float[Tensor, "n_layers d_model"]], layers: Sequence[int], residual_norm: Sequence[float]
) -> None:
    """Check the vectors of every behaviour and layer, and that no residual norm is infinite (NaN: not known).

    Args:
        vectors: Behaviour -> one row for each layer.
        layers: The block of each row.
        residual_norm: The mean token norm at each layer.

    Raises:
        InputError: A number is not finite; the message names behaviour and layer.
    """
    for behaviour, rows in vectors.items():
        if torch.isfinite(rows.float().norm(dim=-1)).all():
            continue
        for layer, row in zip(layers, rows, strict=False):
            check_finite(row, behaviour, layer)
    for layer, norm in zip(layers, residual_norm, strict=False):
        if math.isinf(norm):
            raise InputError(f"the mean residual norm at layer {layer} is infinite; leave that layer out")


def check_shapes(
    vectors: Mapping[str, Float[Tensor, "n_layers d_model"]], layers: Sequence[int], residual_norm: Sequence[float]
) -> None:
    """Check that all behaviours have one row of one width for each layer.

    Args:
        vectors: Behaviour -> one row for each layer.
        layers: The block of each row.
        residual_norm: The mean token norm at each layer.

    Raises:
        InputError: There are no vectors, layers are out of order, or shapes differ.
    """
    if not vectors:
        raise InputError("there are no directions in it")
    if list(layers) != sorted(set(layers)) or not layers or layers[0] < 0:
        raise InputError(f"layers must be different numbers from 0 in rising order, and are {layers}")
    if len(residual_norm) != len(layers):
        raise InputError(f"there are {len(residual_norm)} residual norms for {len(layers)} layers")
    for behaviour, rows in vectors.items():
        if rows.ndim != 2 or len(rows) != len(layers) or not rows.is_floating_point():
            raise InputError(
                f"the vectors for {behaviour!r} have the shape {tuple(rows.shape)} ({rows.dtype}), and there are "
                f"{len(layers)} layers: one row of floating-point numbers for each is right"
            )
    widths = {rows.shape[1] for rows in vectors.values()}
    if len(widths) > 1 or 0 in widths:
        raise InputError(f"vectors must all have one width, and have {', '.join(map(str, sorted(widths)))}")
