"""Lay out what trained vectors are compared with: each block alone, each left out, and controls of the same norms.

only L          the vector of block L, nothing else
without L       all but that of block L
random k        at each block a random direction of the trained vector's norm
other blocks    the trained directions, each at another block, with the norm of the vector trained there
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from ...rundir import brief

Role = Literal["end", "vectors", "only", "without", "control", "transfer"]
BASE, VECTORS, THINKING, OTHER_BLOCKS = "base", "base + vectors", "thinking", "other blocks"


@dataclass(frozen=True, eq=False, slots=True)
class VectorArm:
    """One set of vectors that is measured."""

    name: str
    role: Role
    vectors: Float[Tensor, "n_layers d_model"] | None  # None: none

    __repr__ = brief


def vector_arms(
    vectors: Float[Tensor, "n_layers d_model"], ablated: Sequence[int], n_random: int, seed: int
) -> list[VectorArm]:
    """Make the arms of a base.

    Args:
        vectors: As they were trained; zeros at blocks without one.
        ablated: Blocks that are tried alone and left out.
        n_random: Draws of random directions.
        seed: Of these draws.

    Returns:
        The base, the base with all vectors, and the others.
    """
    trained = [layer for layer, row in enumerate(vectors) if bool(row.any())]
    arms = [VectorArm(BASE, "end", None), VectorArm(VECTORS, "vectors", vectors)]
    if len(trained) > 1:
        arms += [VectorArm(f"only {layer}", "only", _only(vectors, [layer])) for layer in ablated if layer in trained]
        arms += [
            VectorArm(f"without {layer}", "without", _only(vectors, [other for other in trained if other != layer]))
            for layer in ablated
            if layer in trained
        ]
    norms = vectors.norm(dim=-1, keepdim=True)
    for number in range(n_random):
        generator = torch.Generator().manual_seed(int(np.random.default_rng([seed, number]).integers(2**62)))
        directions = torch.randn(vectors.shape, generator=generator)
        arms.append(VectorArm(f"random {number + 1}", "control", normalize(directions, dim=-1) * norms))
    if len(trained) > 1:
        moved = torch.zeros_like(vectors)
        for layer, source in zip(trained, _elsewhere(trained, seed), strict=True):
            moved[layer] = normalize(vectors[source], dim=-1) * norms[layer]
        arms.append(VectorArm(OTHER_BLOCKS, "control", moved))
    return arms


def _only(vectors: Tensor, layers: Sequence[int]) -> Tensor:
    rows = torch.zeros_like(vectors)
    rows[list(layers)] = vectors[list(layers)]
    return rows


def _elsewhere(layers: Sequence[int], seed: int) -> list[int]:
    """Shuffle blocks so that none keeps its place: a random cycle through all of them."""
    order = [layers[int(place)] for place in np.random.default_rng([seed, len(layers)]).permutation(len(layers))]
    following = dict(zip(order, [*order[1:], order[0]], strict=True))
    return [following[layer] for layer in layers]
