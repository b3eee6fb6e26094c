"""Name the layer and strength at which a search found that a behaviour is best steered; kept with its directions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..rundir import InputError, brief


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The layer and strength of one behaviour."""

    layer: int  # 0-based block
    strength: float  # in units of the mean residual norm
    kl_nats: float  # KL(steered || unsteered), nats a token written, on the problems of the search
    when: str | None  # tokens that were steered, as `steer` takes it; None: those that a thinking model picked
    about: str  # how it was found, in words

    __repr__ = brief


def choices_of(rows: Any, path: str | Path) -> dict[str, Choice]:
    """Read what the description of a file of directions says.

    Args:
        rows: Behaviour -> the fields of `Choice`.
        path: The file, for the message.

    Returns:
        Behaviour -> layer and strength.

    Raises:
        InputError: A field is missing or of another kind.
    """
    if not isinstance(rows, Mapping) or not all(_is_choice(row) for row in rows.values()):
        raise InputError(f"{path} is damaged: what a search found is no layer and strength for each behaviour")
    return {name: Choice(**row) for name, row in rows.items()}


def _is_choice(row: Any) -> bool:
    return (
        isinstance(row, Mapping)
        and set(row) == {"layer", "strength", "kl_nats", "when", "about"}
        and type(row["layer"]) is int
        and all(type(row[name]) in (int, float) and math.isfinite(row[name]) for name in ("strength", "kl_nats"))
        and isinstance(row["when"], str | None)
        and isinstance(row["about"], str)
    )
