"""What leaves: one behaviour's vectors at chosen layers, scaled or as they stand.

Directions hold raw vectors. By default a file gets them as they are, so that a coefficient of 1 in the other tool
adds the raw vector. With a strength s each row becomes

    s * (mean residual norm at L) * vector / |vector|

so that a coefficient of 1 in the other tool is a relative dose of s here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ...rundir import InputError
from ..directions import Directions
from .check import check_finite

ORIGIN = "reasonlens.export/1"


@dataclass(frozen=True, eq=False, kw_only=True)
class Selection:
    """One behaviour, ready to be written: layer (0-based block whose output is meant) -> vector, float32."""

    behaviour: str
    rows: dict[int, Float[Tensor, " d_model"]]
    strength: float | None  # relative dose of a coefficient of 1; None: vectors as they stand
    model: dict[str, Any]

    @property
    def layers(self) -> tuple[int, ...]:
        return tuple(self.rows)

    @property
    def d_model(self) -> int:
        return len(next(iter(self.rows.values())))

    @property
    def n_layers(self) -> int:
        """Blocks of the model where its identity says it, else the fewest that hold these rows."""
        known = self.model.get("n_layers")
        return max(max(self.rows) + 1, known if isinstance(known, int) else 0)

    @property
    def model_type(self) -> str:
        """`LlamaForCausalLM` -> `llama`: how transformers names an architecture; empty where it is not known."""
        if isinstance(known := self.model.get("model_type"), str):
            return known
        from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as names

        architecture = str(self.model.get("architecture"))
        kinds = [kind for kind, name in names.items() if name == architecture]  # several types may share a class
        kinds.sort(key=lambda kind: (not architecture.lower().startswith(kind.replace("_", "")), -len(kind)))
        return kinds[0] if kinds else ""

    def origin(self) -> dict[str, Any]:
        """Where the file came from, for those that can carry it; `imported` reads it back."""
        return {"format": ORIGIN, "behaviour": self.behaviour, "strength": self.strength, "model": self.model}

    def without_last_block(self, tool: str) -> None:
        """Raise InputError where the last block is among the rows: tools that act before a block cannot reach it."""
        known = self.model.get("n_layers")
        if isinstance(known, int) and known - 1 in self.rows:
            raise InputError(
                f"{tool} adds vectors before a block, and no block comes after layer {known - 1}, the last of {known}: "
                f"leave it out (--layers 0:{known - 1})"
            )

    def table(self, n_rows: int, shift: int = 0) -> Float[Tensor, "n_rows d_model"]:
        """A row for every index from 0, that of block L at L + `shift`; zeros where there is no vector."""
        table = torch.zeros(n_rows, self.d_model)
        for layer, row in self.rows.items():
            table[layer + shift] = row
        return table


def select(
    directions: Directions,
    behaviour: str | None = None,
    *,
    layers: Sequence[int] | int | None = None,
    strength: float | None = None,
) -> Selection:
    """The rows to write. `behaviour` may be left out where there is one only; `layers` default to all that are there.

    Raises InputError for a behaviour or layer that is not there, vectors that are not finite, a strength that is no
    finite number or has no known norm to stand on, and directions that act by another operation than adding.
    """
    if behaviour is None:
        if len(directions.behaviours) != 1:
            raise InputError(
                f"a file of this format holds one behaviour, and there are directions for "
                f"{', '.join(directions.behaviours)}: name one (--behaviour, behaviour=)"
            )
        behaviour = directions.behaviours[0]
    direction = directions[behaviour]
    if direction.operation != "add":
        raise InputError(
            f"the direction for {behaviour!r} is made for the operation {direction.operation!r}, and other tools add "
            'vectors: take directions with operation="add"'
        )
    if strength is not None and not math.isfinite(strength):
        raise InputError(f"the strength must be a finite number, and is {strength}")
    wanted = direction.layers if layers is None else (layers,) if isinstance(layers, int) else tuple(layers)
    if not wanted:
        raise InputError(f"no layer is left to write; there are directions at {', '.join(map(str, direction.layers))}")
    rows = {}
    for layer in sorted(set(wanted)):
        row = direction.at(layer).detach().to("cpu", torch.float32)
        check_finite(row, behaviour, layer)
        if strength is not None:
            norm = direction.norm_at(layer)
            if not math.isfinite(norm):
                raise InputError(
                    f"a strength is in units of the mean residual norm, which is not known at layer {layer} for these "
                    "directions: leave --strength out to write the vectors as they stand"
                )
            row = strength * norm * direction.unit(layer).to("cpu")
            check_finite(row, behaviour, layer)
        rows[layer] = row.clone()
    return Selection(behaviour=behaviour, rows=rows, strength=strength, model=directions.model)
