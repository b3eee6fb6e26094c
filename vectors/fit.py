"""Whether a direction belongs to a model: of its width and depth, and found in it or in a copy of other precision."""

from __future__ import annotations

from ..models import LanguageModel
from ..models.identity import same_weights, state
from ..rundir import InputError
from .direction import Direction
from .directions import Directions


def check_fit(direction: Direction | Directions, model: LanguageModel, *, force: bool = False) -> None:
    """Raises InputError where a direction cannot have come from `model`, or is no use in it.

    Another width, or a layer that the model does not have, is always refused. Another name, revision or weights are
    refused unless `force` (a base model's directions in the thinking model, say). A direction of unknown origin is
    taken. A copy in another precision is the same model.
    """
    d_model, theirs = direction.d_model, direction.model
    what = "each of these directions"
    if isinstance(direction, Direction):
        what = f"the direction for {direction.behaviour!r}"
    if d_model != model.d_model:
        raise InputError(f"{what} has {d_model} dimensions and {model.name} {model.d_model}: it is of another model")
    beyond = [layer for layer in direction.layers if not 0 <= layer < model.n_layers]
    if beyond or theirs.get("n_layers", model.n_layers) != model.n_layers:
        covers = f"covers layer {beyond[0]}" if beyond else f"is of a model of {theirs['n_layers']} blocks"
        raise InputError(
            f"{what} {covers}, and {model.name} has {model.n_layers} blocks (0..{model.n_layers - 1}): it is of "
            "another model"
        )
    if not force and not same_weights(theirs, model):
        raise InputError(
            f"{what} was found in {theirs.get('name', 'a model without a name')} ({state(theirs)}), and {model.name} "
            f"({state(model.identity())}) has other weights. To use it all the same, give force=True (--force)."
        )
