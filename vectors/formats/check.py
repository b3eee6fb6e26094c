"""Check vectors before they are used: finite numbers, sound shapes, and the right model.

A vector of another width is always refused. One of another model of the same shape (another name, revision or other
weights) is refused unless forced, because directions seldom mean the same in other weights.
"""

from __future__ import annotations

from pathlib import Path

from ...models import LanguageModel
from ...rundir import InputError
from .._directions import Directions
from ..finite import check_finite
from ..fit import check_fit


def check_directions(directions: Directions) -> None:
    """Check that shapes, layers and numbers are sound and the same for all behaviours.

    Args:
        directions: The directions, of any origin.

    Raises:
        InputError: There are no vectors, layers are out of order, shapes differ, or a number is not finite.
    """
    if not directions.vectors:
        raise InputError("there are no directions in it")
    layers = directions.layers
    if list(layers) != sorted(set(layers)) or not layers or layers[0] < 0:
        raise InputError(f"layers must be different numbers from 0 in rising order, and are {layers}")
    if len(directions.residual_norm) != len(layers):
        raise InputError(f"there are {len(directions.residual_norm)} residual norms for {len(layers)} layers")
    widths = set()
    for behaviour, vectors in directions.vectors.items():
        if vectors.ndim != 2 or len(vectors) != len(layers) or not vectors.is_floating_point():
            raise InputError(
                f"the vectors for {behaviour!r} have the shape {tuple(vectors.shape)} ({vectors.dtype}), and there are "
                f"{len(layers)} layers: one row of floating-point numbers for each is right"
            )
        widths.add(vectors.shape[1])
        for layer, row in zip(layers, vectors, strict=True):
            check_finite(row, behaviour, layer)
    if len(widths) > 1 or 0 in widths:
        raise InputError(f"vectors must all have one width, and have {', '.join(map(str, sorted(widths)))}")


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
