"""Define what is done to an activation h at a steered token, with the unit direction u and an amount a.

    add                     h + a u
    add-preserving-norm     (h + a u) |h| / |h + a u|          turns h towards u and keeps its length
    project-out             h - a (h . u) u                    a = 1 removes all of it (directional ablation, Arditi
                                                               et al. 2024, arXiv 2406.11717)
    clamp                   h + (a - h . u) u                  the projection on u becomes a

A new operation is a function of the type `Operation`, listed in OPERATIONS. Results have the dtype of h; sums of
squares are taken in float32.
"""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from ...rundir import InputError

Amount = float | Float[Tensor, "rows tokens 1"]  # one number, or one for each token
Operation = Callable[
    [Float[Tensor, "rows tokens d_model"], Float[Tensor, " d_model"], Amount], Float[Tensor, "rows tokens d_model"]
]


def add(
    activations: Float[Tensor, "rows tokens d_model"], unit: Float[Tensor, " d_model"], amount: Amount
) -> Float[Tensor, "rows tokens d_model"]:
    """Move each activation by `amount` along `unit`."""
    return activations + (amount * unit).to(activations.dtype)


def add_preserving_norm(
    activations: Float[Tensor, "rows tokens d_model"], unit: Float[Tensor, " d_model"], amount: Amount
) -> Float[Tensor, "rows tokens d_model"]:
    """Move each activation by `amount` along `unit`, then rescale it to its own norm."""
    exact = activations.float()
    moved = exact + amount * unit.float()
    length = moved.norm(dim=-1, keepdim=True).clamp_min(1e-30)
    rescaled: Tensor = moved * (exact.norm(dim=-1, keepdim=True) / length)
    return rescaled.to(activations.dtype)


def project_out(
    activations: Float[Tensor, "rows tokens d_model"], unit: Float[Tensor, " d_model"], amount: Amount
) -> Float[Tensor, "rows tokens d_model"]:
    """Remove from each activation the share `amount` (1: all) of its part along `unit`."""
    exact = activations.float()
    projection = (exact @ unit.float())[..., None]  # (rows, tokens, 1)
    return (exact - amount * projection * unit.float()).to(activations.dtype)


def clamp(
    activations: Float[Tensor, "rows tokens d_model"], unit: Float[Tensor, " d_model"], amount: Amount
) -> Float[Tensor, "rows tokens d_model"]:
    """Set the projection of each activation on `unit` to `amount`."""
    exact = activations.float()
    projection = (exact @ unit.float())[..., None]  # (rows, tokens, 1)
    return (exact + (amount - projection) * unit.float()).to(activations.dtype)


OPERATIONS: dict[str, Operation] = {
    "add": add,
    "add-preserving-norm": add_preserving_norm,
    "project-out": project_out,
    "clamp": clamp,
}


def operation_named(name: str) -> Operation:
    """Look up an operation by its name.

    Args:
        name: A key of `OPERATIONS`.

    Returns:
        The operation.

    Raises:
        InputError: There is no operation of this name.
    """
    if name not in OPERATIONS:
        raise InputError(f"there is no operation {name!r} to steer with; there are {', '.join(OPERATIONS)}")
    return OPERATIONS[name]
