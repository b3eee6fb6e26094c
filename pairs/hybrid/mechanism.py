"""Mechanisms: what a steered token gets, the vector of a behaviour at one block's output.

Trained and applied through one and the same place: the output of block L, at the token before the sentence (read
`before:1`), whose vectors mean "about to begin". Inside a sentence the same difference of means means "already under
way", and suppresses the behaviour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...models.device_copies import DeviceCopies
from ...models.sites import BLOCK_OUTPUT
from ...rundir import InputError, brief
from ...vectors import Directions


@dataclass(frozen=True, eq=False, kw_only=True)
class Mechanism:
    """Unit vectors of behaviours at the output of block `layer`; a strength of 1 is the mean residual norm there."""

    behaviours: tuple[str, ...]
    units: Float[Tensor, "n_behaviours d_model"]
    layer: int
    residual_norm: float

    __repr__ = brief

    @classmethod
    def of(cls, directions: Directions, layer: int, behaviours: Sequence[str] | None = None) -> Mechanism:
        """The vectors of some behaviours at one layer. Raises InputError for unknown ones and unknown norms."""
        if directions.site != BLOCK_OUTPUT:
            raise InputError(
                f"the directions are of the site {directions.site}, and a hybrid is steered at the output of a block: "
                "find them at hook_out"
            )
        names = tuple(behaviours or directions.behaviours)
        norm = directions[names[0]].norm_at(layer)
        if not norm > 0:
            raise InputError(
                f"the directions do not say the residual norm at layer {layer}; reasonlens.with_norms_of does"
            )
        units = torch.stack([directions[name].unit(layer) for name in names])
        return cls(behaviours=names, units=units, layer=layer, residual_norm=norm)

    def applied(
        self,
        activations: Float[Tensor, "rows d_model"],
        behaviour: Int[Tensor, " rows"],
        strength: Float[Tensor, " rows"],
    ) -> Float[Tensor, "rows d_model"]:
        """Activations moved by their strength along their behaviour's vector."""
        units = self._copies.on(activations.device)[behaviour]
        return activations + (strength[:, None] * self.residual_norm * units).to(activations.dtype)

    @cached_property
    def _copies(self) -> DeviceCopies:
        return DeviceCopies(self.units)

    def random(self, seed: int) -> Mechanism:
        """As many random directions: the norm-matched control."""
        normals = torch.from_numpy(np.random.default_rng(seed).standard_normal(self.units.shape)).float()
        return replace(self, units=torch.nn.functional.normalize(normals, dim=-1))

    def least_similar(self) -> Int[Tensor, " n_behaviours"]:
        """For each behaviour the one whose vector is least like its own."""
        cosines = self.units @ self.units.T
        return cosines.argmin(dim=-1)
