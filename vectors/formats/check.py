"""Check vectors before they are used: finite numbers, sound shapes, and the right model.

A vector of another width is always refused. One of another model of the same shape (another name, revision or other
weights) is refused unless forced, because directions seldom mean the same in other weights.
"""

from __future__ import annotations

from pathlib import Path

from ...models import LanguageModel
from ...rundir import InputError, shown
from .._directions import Directions
from ..fit import check_fit
from ..soundness import check_all_finite, check_shapes


def check_directions(directions: Directions) -> None:
    """Check that shapes, layers and numbers are sound and the same for all behaviours.

    Args:
        directions: The directions, of any origin.

    Raises:
        InputError: There are no vectors, layers are out of order, shapes differ, or a number is not finite.
    """
    if not isinstance(directions, Directions):
        raise InputError(
            f"directions takes a reasonlens.Directions or its file, and {shown(directions)} is neither; find some with "
            "directions(activations)"
        )
    check_shapes(directions.vectors, directions.layers, directions.residual_norm)
    check_all_finite(directions.vectors, directions.layers, directions.residual_norm)


def check_fits(directions: Directions, model: LanguageModel, *, force: bool = False) -> None:
    """Check that directions belong to a model, or at least to its type, which is all that some tools' files state.

    Args:
        directions: The directions.
        model: The model that they are to act in.
        force: Accept another model of the same shape.

    Raises:
        InputError: The directions are of another width, depth or model (see `check_fit`), or of another model type.
    """
    check_fit(directions, model, force=force)
    stated, actual = directions.model.get("model_type"), model.model.config.model_type
    if not force and isinstance(stated, str) and stated not in ("", actual):
        raise InputError(
            f"these directions were made for a model of type {stated}, and {model.name} is of type {actual}. To use "
            "them all the same, give force=True (--force)."
        )


def file_name(behaviour: str) -> str:
    """Turn a behaviour into a file name that cannot leave its directory or be hidden in it.

    Args:
        behaviour: The behaviour's name.

    Returns:
        The file name, without a suffix.

    Raises:
        InputError: The name holds a slash, a backslash, a colon or a control character, begins with a dot, or has more
            than 100 characters.
    """
    is_unsafe = not behaviour or behaviour.startswith(".") or len(behaviour) > 100
    if is_unsafe or any(letter in '/\\:*?"<>|' or not letter.isprintable() for letter in behaviour):
        raise InputError(
            f"the behaviour {behaviour[:120]!r} cannot be a file name: name the file yourself (--out), or use a name "
            "of letters, digits, - and _"
        )
    return Path(behaviour).name
