"""Whether a direction belongs to a model: of its width and depth, and found in it or in a copy of other precision."""

from __future__ import annotations

from ..models import InputError, LanguageModel
from .direction import Direction
from .directions import Directions


def check_fit(direction: Direction | Directions, model: LanguageModel, *, force: bool = False) -> None:
    """Raises InputError where a direction cannot have come from `model`, or is no use in it.

    Another width, or a layer that the model does not have, is always refused. Another name, revision or weights are
    refused unless `force` (a base model's directions in the thinking model, say). A direction of unknown origin is
    taken. A copy in another precision is the same model.
    """
    d_model = direction.d_model
    what = f"the direction for {direction.behaviour!r}" if isinstance(direction, Direction) else "these directions"
    if d_model != model.d_model:
        raise InputError(f"{what} has {d_model} dimensions and {model.name} {model.d_model}: it is of another model")
    beyond = [layer for layer in direction.layers if not 0 <= layer < model.n_layers]
    if beyond:
        raise InputError(
            f"{what} covers layer {beyond[0]}, and {model.name} has {model.n_layers} blocks (0..{model.n_layers - 1}): "
            "it is of another model"
        )
    difference = None if force else _difference(direction.model, model.identity())
    if difference:
        raise InputError(
            f"{what} was found in another model: {difference}. To use it all the same, give force=True (--force)."
        )


def _difference(found: dict[str, object], used: dict[str, object]) -> str | None:
    """In what two models differ, as far as both are known."""

    def differ(key: str) -> bool:
        return bool(found.get(key)) and bool(used.get(key)) and found[key] != used[key]

    if found.get("fingerprint") and found["fingerprint"] == used["fingerprint"]:
        return None
    for key in ("name", "revision", "architecture", "n_layers"):
        if differ(key):
            return _said(key, found, used)
    if differ("fingerprint") and found.get("dtype") == used["dtype"]:
        return _said("fingerprint", found, used)
    return None


def _said(key: str, found: dict[str, object], used: dict[str, object]) -> str:
    return f"its {key} is {found[key]}, and that of this model {used[key]}"
