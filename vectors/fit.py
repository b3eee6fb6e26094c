"""Check that a direction belongs to a model: same width and depth, and the same weights in any precision."""

from __future__ import annotations

from ..models import LanguageModel
from ..models.identity import same_weights, state
from ..rundir import InputError, shown
from ._directions import Directions
from .direction import Direction


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
    d_model, origin = direction.d_model, direction.model
    subject = "each of these directions"
    if isinstance(direction, Direction):
        subject = f"the direction for {direction.behaviour!r}"
    if d_model != model.d_model:
        raise InputError(f"{subject} has {d_model} dimensions and {model.name} {model.d_model}: it is of another model")
    missing_layers = [layer for layer in direction.layers if not 0 <= layer < model.n_layers]
    if missing_layers or origin.get("n_layers", model.n_layers) != model.n_layers:
        mismatch = (
            f"covers layer {missing_layers[0]}" if missing_layers else f"is of a model of {origin['n_layers']} blocks"
        )
        raise InputError(
            f"{subject} {mismatch}, and {model.name} has {model.n_layers} blocks (0..{model.n_layers - 1}): it is of "
            "another model"
        )
    if not force and not same_weights(origin, model):
        raise InputError(
            f"{subject} was found in {origin.get('name', 'a model without a name')} ({state(origin)}), and "
            f"{model.name} ({state(model.identity())}) has other weights. To use it all the same, give force=True "
            "(--force)."
        )
