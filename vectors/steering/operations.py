"""What is done to an activation h at a steered token, with the unit direction u and an amount a.

    add                     h + a u
    add-preserving-norm     (h + a u) |h| / |h + a u|          turns h towards u and keeps its length
    project-out             h - a (h . u) u                    a = 1 removes all of it (directional ablation, Arditi
                                                               et al. 2024, arXiv 2406.11717)
    clamp                   h + (a - h . u) u                  the projection on u becomes a

An operation is a function of this type, listed in OPERATIONS; a new one needs nothing else. They work in the dtype of h
but for sums of squares, and a is one number, or one for each token (rows, tokens, 1).
"""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from ...rundir import InputError

Amount = float | Float[Tensor, "rows tokens 1"]
Operation = Callable[
    [Float[Tensor, "rows tokens d_model"], Float[Tensor, " d_model"], Amount], Float[Tensor, "rows tokens d_model"]
]


def add(
    acts: Float[Tensor, "rows tokens d_model"], unit: Float[Tensor, " d_model"], amount: Amount
) -> Float[Tensor, "rows tokens d_model"]:
    """Each activation moved by `amount` along `unit`."""
    return acts + (amount * unit).to(acts.dtype)


def add_preserving_norm(
    acts: Float[Tensor, "rows tokens d_model"], unit: Float[Tensor, " d_model"], amount: Amount
) -> Float[Tensor, "rows tokens d_model"]:
    """Each activation moved by `amount` along `unit`, then brought back to its own norm."""
    exact = acts.float()
    moved = exact + amount * unit.float()
    length = moved.norm(dim=-1, keepdim=True).clamp_min(1e-30)
    kept: Tensor = moved * (exact.norm(dim=-1, keepdim=True) / length)
    return kept.to(acts.dtype)


def project_out(
    acts: Float[Tensor, "rows tokens d_model"], unit: Float[Tensor, " d_model"], amount: Amount
) -> Float[Tensor, "rows tokens d_model"]:
    """Each activation without `amount` (1: all) of its part along `unit`."""
    exact = acts.float()
    along = (exact @ unit.float())[..., None]  # (rows, tokens, 1)
    return (exact - amount * along * unit.float()).to(acts.dtype)


def clamp(
    acts: Float[Tensor, "rows tokens d_model"], unit: Float[Tensor, " d_model"], amount: Amount
) -> Float[Tensor, "rows tokens d_model"]:
    """Each activation with its projection on `unit` set to `amount`."""
    exact = acts.float()
    along = (exact @ unit.float())[..., None]  # (rows, tokens, 1)
    return (exact + (amount - along) * unit.float()).to(acts.dtype)


OPERATIONS: dict[str, Operation] = {
    "add": add,
    "add-preserving-norm": add_preserving_norm,
    "project-out": project_out,
    "clamp": clamp,
}


def operation_named(name: str) -> Operation:
    """Raises InputError for a name that none has."""
    if name not in OPERATIONS:
        raise InputError(f"there is no operation {name!r} to steer with; there are {', '.join(OPERATIONS)}")
    return OPERATIONS[name]
