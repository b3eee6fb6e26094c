"""Check that vectors and norms are finite: a NaN that is written once turns up as a model that writes nonsense."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ..rundir import InputError


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
