"""Select what is exported: one behaviour's vectors at chosen layers, scaled or as they are.

Directions hold raw vectors. By default they are written unchanged, so that a coefficient of 1 in the other tool adds
the raw vector. With a strength s each row becomes

    s * (mean residual norm at L) * vector / |vector|

so that a coefficient of 1 in the other tool equals strength s here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ...models.sites import BLOCK_OUTPUT
from ...rundir import InputError, listed
from .._directions import Directions
from ..soundness import check_finite

ORIGIN = "reasonlens.export/1"


@dataclass(frozen=True, eq=False, kw_only=True)
class Selection:
    """One behaviour's vectors, ready to be written."""

    behaviour: str
    rows: dict[int, Float[Tensor, " d_model"]]  # layer (0-based block whose output is meant) -> vector, float32
    strength: float | None  # what a coefficient of 1 adds, in mean residual norms; None: vectors as they are
    model: dict[str, Any]  # what is known of the model's identity

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers, ascending."""
        return tuple(self.rows)

    @property
    def d_model(self) -> int:
        """The width of the residual stream."""
        return len(next(iter(self.rows.values())))

    @property
    def n_layers(self) -> int:
        """The number of blocks of the model if its identity states it, else the fewest that hold these rows."""
        stated = self.model.get("n_layers")
        return max(max(self.rows) + 1, stated if isinstance(stated, int) else 0)

    @property
    def model_type(self) -> str:
        """What transformers calls the architecture (`llama` for `LlamaForCausalLM`); empty where it is not known."""
        if isinstance(stated := self.model.get("model_type"), str):
            return stated
        from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as names

        architecture = str(self.model.get("architecture"))
        kinds = [kind for kind, name in names.items() if name == architecture]  # several types may share a class
        kinds.sort(key=lambda kind: (not architecture.lower().startswith(kind.replace("_", "")), -len(kind)))
        return kinds[0] if kinds else ""

    def origin(self) -> dict[str, Any]:
        """Describe where the vectors came from, for files that can hold it; `imported` reads it again.

        Returns:
            A dictionary that JSON can hold.
        """
        return {"format": ORIGIN, "behaviour": self.behaviour, "strength": self.strength, "model": self.model}

    def without_last_block(self, tool: str) -> None:
        """Refuse the last block: tools that act before a block cannot add to its output.

        Args:
            tool: The tool's name, for the message.

        Raises:
            InputError: The last block of the model is among the layers.
        """
        for layer, reason in last_block(self.model, tool).items():
            if layer in self.rows:
                raise InputError(f"{reason}: leave it out (--layers 0:{layer})")

    def table(self, n_rows: int, shift: int = 0) -> Float[Tensor, "n_rows d_model"]:
        """Arrange the vectors as a table with one row for each block.

        Args:
            n_rows: The number of rows.
            shift: Block L is row L + `shift`.

        Returns:
            The table, with zeros where there is no vector.
        """
        table = torch.zeros(n_rows, self.d_model)
        for layer, row in self.rows.items():
            table[layer + shift] = row
        return table


def last_block(model: Mapping[str, Any], tool: str) -> dict[int, str]:
    """Say why a tool that acts before a block cannot steer the last one.

    Args:
        model: What is known of the model's identity.
        tool: The tool's name.

    Returns:
        The last block and the reason; empty where the number of blocks is not known.
    """
    n_layers = model.get("n_layers")
    if not isinstance(n_layers, int):
        return {}
    last = n_layers - 1
    return {last: f"{tool} adds vectors before a block, and no block comes after layer {last}, the last of {n_layers}"}


def select(
    directions: Directions,
    behaviour: str | None = None,
    *,
    layers: str | Sequence[int] | int | None = None,
    strength: float | None = None,
    any_site: bool = False,
) -> Selection:
    """Select one behaviour's vectors at some layers.

    Args:
        directions: The directions to take them from.
        behaviour: Which behaviour; may be left out where there is only one.
        layers: The 0-based blocks, or a text such as "8:12"; None means all.
        strength: What a coefficient of 1 adds, in units of the mean residual norm; None leaves the vectors as they are.
        any_site: Whether the tool can add vectors elsewhere than to the output of a block.

    Returns:
        The selection.

    Raises:
        InputError: The behaviour or a layer is not covered, a vector is not finite, the strength is not finite or the
            residual norm not known, or the directions act by another operation than adding or at a site that the tool
            cannot take.
    """
    if behaviour is None:
        if len(directions.behaviours) != 1:
            raise InputError(
                f"a file of this format holds one behaviour, and there are directions for "
                f"{listed(directions.behaviours, 10)}: name one (--behaviour, behaviour=)"
            )
        behaviour = directions.behaviours[0]
    direction = directions[behaviour]
    if direction.operation != "add":
        raise InputError(
            f"the direction for {behaviour!r} is made for the operation {direction.operation!r}, and other tools add "
            'vectors: take directions with operation="add"'
        )
    if direction.site != BLOCK_OUTPUT and not any_site:
        raise InputError(
            f"the direction for {behaviour!r} is of the site {direction.site}, and this tool takes vectors for the "
            "output of blocks (hook_out): keep it in reasonlens's own file (safetensors), steer with reasonlens.steer, "
            "or take the code for TransformerLens (export --print transformer-lens)"
        )
    if strength is not None and not math.isfinite(strength):
        raise InputError(f"the strength must be a finite number, and is {strength}")
    chosen = directions.choose_layers(layers)
    if not chosen:
        raise InputError(f"no layer is left to write; there are directions at {', '.join(map(str, direction.layers))}")
    rows = {}
    for layer in chosen:
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
