"""Name the number formats that weights of a model can be loaded in."""

from __future__ import annotations

import torch

from ..rundir import InputError, entry_of
from .handle import LanguageModel

PRECISIONS = {name: getattr(torch, name) for name in ("float32", "bfloat16", "float16", "float64")}


def precision_of(name: str) -> torch.dtype:
    """Look up a number format of weights.

    Args:
        name: Such as "bfloat16".

    Returns:
        The format.

    Raises:
        InputError: There is none of this name.
    """
    precision: torch.dtype = entry_of(PRECISIONS, name, "weights have no number format {}")
    return precision


def check_precision(model: LanguageModel, name: str | None) -> None:
    """Raise InputError if a model has its weights in another number format than was asked for.

    Args:
        model: The model; one that was given as an object is used as it is.
        name: The format; None: any.
    """
    own = str(model.model.dtype).removeprefix("torch.")
    if name is not None and own != name:
        raise InputError(
            f"{model.name} has its weights in {own}, and dtype asks for {name}: a model that is loaded already is used "
            f"as it is; load it with reasonlens.load(..., dtype={name!r}), or leave dtype out"
        )
