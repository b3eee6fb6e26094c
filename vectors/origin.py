"""Check that vectors belong to a model: same width and depth, and the same weights in any precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..models import LanguageModel
from ..models.identity import same_weights, state
from ..rundir import InputError


def check_origin(
    subject: str, d_model: int, layers: Sequence[int], origin: Mapping[str, Any], model: LanguageModel, force: bool
) -> None:
    """Refuse vectors that cannot come from `model`, or that come from other weights.

    Args:
        subject: What to call the vectors in a message.
        d_model: Their width.
        layers: The 0-based blocks that they are of.
        origin: Identity of the model that they come from; {}: unknown, which is accepted.
        model: The model that is to take them.
        force: Accept vectors of another name, revision or weights. Another width or depth is refused in any case.

    Raises:
        InputError: The width differs, a layer does not exist in the model, or the weights differ and `force` is off.
    """
    if d_model != model.d_model:
        raise InputError(f"{subject} has {d_model} dimensions and {model.name} {model.d_model}: it is of another model")
    missing_layers = [layer for layer in layers if not 0 <= layer < model.n_layers]
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
