"""One behaviour's direction: a vector for each of some layers, with what is needed to act with it.

`directions["backtracking"]` gives one; `Direction.of(tensor, layers=...)` makes one of any vectors at hand.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ..rundir import InputError


@dataclass(frozen=True, eq=False, kw_only=True)
class Direction:
    """One behaviour's vector at each of `layers`, in the units of the residual stream."""

    behaviour: str
    vectors: Float[Tensor, "n_layers d_model"]
    layers: tuple[int, ...]  # the 0-based blocks at whose output the rows apply
    residual_norm: tuple[float, ...]  # mean token norm of the residual stream at each: the unit of a dose; NaN: unknown
    model: dict[str, Any] = field(default_factory=dict)  # LanguageModel.identity() of where it was found; {}: unknown
    operation: str = "add"  # what to do with it to bring the behaviour about

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or not len(self.vectors) == len(self.layers) == len(self.residual_norm):
            raise InputError(
                f"the direction for {self.behaviour!r} has vectors of shape {tuple(self.vectors.shape)} for "
                f"{len(self.layers)} layers and {len(self.residual_norm)} norms; give each layer one row (d_model) and "
                "one norm"
            )

    @classmethod
    def of(
        cls,
        vectors: Float[Tensor, "n_layers d_model"] | Float[Tensor, " d_model"],
        *,
        layers: Sequence[int] | int,
        behaviour: str = "direction",
        residual_norm: Sequence[float] | float = math.nan,
    ) -> Direction:
        """Of vectors from anywhere. Without `residual_norm` only absolute strengths can be used."""
        layers = (layers,) if isinstance(layers, int) else tuple(layers)
        norms = (residual_norm,) * len(layers) if isinstance(residual_norm, int | float) else tuple(residual_norm)
        rows = vectors[None] if vectors.ndim == 1 else vectors
        return cls(behaviour=behaviour, vectors=rows, layers=layers, residual_norm=norms)

    @property
    def d_model(self) -> int:
        return self.vectors.shape[1]

    def at(self, layer: int) -> Float[Tensor, " d_model"]:
        """The vector for the output of block `layer`. Raises InputError for a layer that is not covered."""
        return self.vectors[self._row(layer)]

    def at_every_layer(self, layer: int, n_layers: int) -> Direction:
        """The vector of `layer` at each of `n_layers` blocks: one direction to project out everywhere.

        Norms of the residual stream stay those of their own layers, where they are known.
        """
        norms = tuple(self.norm_at(each) if each in self.layers else math.nan for each in range(n_layers))
        vectors = self.at(layer).expand(n_layers, -1)
        return replace(self, vectors=vectors, layers=tuple(range(n_layers)), residual_norm=norms)

    def norm_at(self, layer: int) -> float:
        """The mean norm of the residual stream at block `layer`; NaN where it is not known."""
        return self.residual_norm[self._row(layer)]

    def unit(self, layer: int) -> Float[Tensor, " d_model"]:
        """The vector at `layer` at norm 1, float32. Raises InputError for one that is zero or not finite."""
        vector = self.at(layer).float()
        norm = vector.norm()
        if not torch.isfinite(norm) or norm == 0:
            wrong = "is zero" if norm == 0 else "holds NaN or infinity"
            raise InputError(
                f"the direction for {self.behaviour!r} at layer {layer} {wrong}; take another layer or find it again"
            )
        unit: Tensor = vector / norm
        return unit

    def _row(self, layer: int) -> int:
        if layer not in self.layers:
            raise InputError(
                f"no direction for {self.behaviour!r} at layer {layer}; these are covered: "
                f"{', '.join(map(str, self.layers))}"
            )
        return self.layers.index(layer)
