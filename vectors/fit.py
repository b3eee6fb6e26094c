"""Check that a direction belongs to a model: same width and depth, and the same weights in any precision."""

from __future__ import annotations

from ..models import LanguageModel
from ..rundir import InputError, shown
from ._directions import Directions
from .direction import Direction
from .origin import check_origin


def check_fit(direction: Direction | Directions, model: LanguageModel, *, force: bool = False) -> None:
    """Refuse a direction that cannot come from `model`, or that comes from other weights.

    Args:
        direction: One direction or several; those of unknown origin are accepted, and those from a copy in another
            precision count as the same model's.
        model: The model to steer.
        force: Accept a direction of another name, revision or weights (a base model's in the thinking model, say).
            Another width or depth is refused in any case.

    Raises:
        InputError: The width differs, a layer does not exist in the model, or the weights differ and `force` is off.
    """
    if not isinstance(direction, Direction | Directions):
        raise InputError(
            f"directions takes a reasonlens.Directions, and {shown(direction)} is none; of a file, give "
            "Directions.open(path)"
        )
    subject = "each of these directions"
    if isinstance(direction, Direction):
        subject = f"the direction for {direction.behaviour!r}"
    check_origin(subject, direction.d_model, direction.layers, direction.model, model, force)
