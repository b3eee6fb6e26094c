"""Compare trained vectors with directions of behaviours, block by block.

Two independent random vectors have a cosine within 1.96 / sqrt(d_model) of 0 in 95% of draws.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cosine_similarity

from ...activations import collect
from ...models import LanguageModel
from ...models.sites import BLOCK_OUTPUT
from ...organisms import organisms_traces
from ...rundir import InputError, brief, tensors_digest
from ...vectors import Directions, mean_difference_directions

N_TRACES = 60  # of an organism, from which directions are extracted


@dataclass(frozen=True, slots=True)
class Cosine:
    """The cosine of the trained vector and one behaviour's direction at one block."""

    layer: int
    behaviour: str
    cosine: float

    __repr__ = brief


def cosines_with(
    vectors: Float[Tensor, "n_layers d_model"], directions: Directions, base: LanguageModel
) -> list[Cosine]:
    """Compare vectors with directions.

    Args:
        vectors: As they were trained; zeros at blocks without one.
        directions: Of behaviours.
        base: The model, for messages and its shape.

    Returns:
        A row for each block with both, and behaviour.

    Raises:
        InputError: The directions are of another width or site, or none is at a trained block.
    """
    if directions.d_model != base.d_model or directions.site != BLOCK_OUTPUT:
        raise InputError(
            f"the directions are {directions.d_model} wide, at {directions.site}, and the vectors of {base.name} "
            f"{base.d_model} wide, at {BLOCK_OUTPUT}: give directions of this model (--directions)"
        )
    layers = [layer for layer, row in enumerate(vectors) if bool(row.any()) and layer in directions.layers]
    return [
        Cosine(
            layer,
            behaviour,
            float(cosine_similarity(vectors[layer].double(), directions.at(behaviour, layer).double(), dim=0)),
        )
        for layer in layers
        for behaviour in directions.behaviours
    ]


def organism_directions(base: LanguageModel, layers: list[int], seed: int) -> Directions:
    """Extract mean-difference directions from an organism's own responses.

    Args:
        base: The organism.
        layers: 0-based blocks.
        seed: Of problems and responses.

    Returns:
        The directions.
    """
    traces = organisms_traces(base, N_TRACES, split="train", seed=seed)
    return mean_difference_directions(collect(base, traces, layers=layers, progress=False))


def directions_digest(directions: Directions) -> str:
    """Digest the vectors of all behaviours, for the comparison of runs."""
    rows = {name: vectors.float().contiguous() for name, vectors in directions.vectors.items()}
    return tensors_digest(list(directions.layers), rows)
