"""Compare the subspaces that the behaviours' directions span in two models, layer by layer.

    cos angle_i = singular value i of  P' Q        P, Q: orthonormal bases        (Bjorck & Golub 1973)
    overlap     = mean of cos^2 angle_i            1: the same subspace; k / d_model on average for random ones

The dimension k is the rank of the directions of all problems in both models, the lower one; dimensions that only a
handful of spans holds apart do not count (with every label among the behaviours the rank is one less than their number,
with a rare one left out nearly so). Nulls and interval are those of the cosines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from ...rundir import brief
from ...stats import Interval, percentile_ends
from .contrasts import LayerContrasts
from .cosines import TIED, middle

RANK_TOLERANCE = 0.02  # of the largest singular value of unit directions: below it a dimension is a handful of spans


@dataclass(frozen=True, slots=True, kw_only=True)
class SubspaceOverlap:
    """How alike the behaviours' subspaces are at one layer.

    Attributes:
        layer: Block of the base.
        thinking_layer: Block of the thinking model.
        n_dimensions: Of either subspace.
        angles: Principal angles in degrees, ascending.
        overlap: Mean squared cosine of the angles; 95% over problems.
        random: Of random subspaces of as many dimensions: mean, and the middle 95% of the draws.
        shuffled: Of directions from shuffled labels, likewise.
    """

    layer: int
    thinking_layer: int
    n_dimensions: int
    angles: tuple[float, ...]
    overlap: Interval
    random: Interval
    shuffled: Interval

    __repr__ = brief

    @property
    def is_above_shuffled(self) -> bool:
        """Whether the interval lies above 95% of what shuffled labels give."""
        return self.overlap.low > self.shuffled.high + TIED


def subspace_overlap(
    contrasts: LayerContrasts, layers: tuple[int, int], *, n_problems: int, n_random: int, seed: int
) -> SubspaceOverlap:
    """Compare the subspaces of one layer.

    Args:
        contrasts: The directions.
        layers: The block of the base, and that of the thinking model.
        n_problems: That the directions are of.
        n_random: Draws of two random subspaces.
        seed: Of these draws.

    Returns:
        Angles and overlap, with nulls.
    """
    n_dimensions = min(rank(contrasts.base[0]), rank(contrasts.thinking[0]))
    squares = cosines_of_angles(contrasts.base, contrasts.thinking, n_dimensions) ** 2
    shuffled = cosines_of_angles(contrasts.base_shuffled, contrasts.thinking_shuffled, n_dimensions) ** 2
    generator = torch.Generator().manual_seed(seed)
    d_model = contrasts.base.shape[-1]
    random = torch.randn(2, n_random, n_dimensions, d_model, generator=generator, dtype=torch.float64)
    overlaps = squares.mean(axis=1)
    return SubspaceOverlap(
        layer=layers[0],
        thinking_layer=layers[1],
        n_dimensions=n_dimensions,
        angles=tuple(np.degrees(np.arccos(np.sqrt(squares[0]))).tolist()),
        overlap=Interval(float(overlaps[0]), *percentile_ends(overlaps[1:]), n_problems),
        random=middle((cosines_of_angles(random[0], random[1], n_dimensions) ** 2).mean(axis=1)),
        shuffled=middle(shuffled.mean(axis=1)),
    )


def rank(vectors: Float[Tensor, "n d_model"]) -> int:
    """Count the dimensions that some vectors span, rounding aside.

    Args:
        vectors: Of any lengths.
    """
    values = torch.linalg.svdvals(normalize(vectors.double(), dim=-1, eps=1e-30))
    return max(1, int((values > RANK_TOLERANCE * values[0]).sum()))


def cosines_of_angles(
    first: Float[Tensor, "n n_vectors d_model"], second: Float[Tensor, "n n_vectors d_model"], n_dimensions: int
) -> Float[np.ndarray, "n n_dimensions"]:
    """Compute the cosines of the principal angles between the spans of vectors.

    Args:
        first: Sets of vectors.
        second: As many sets.
        n_dimensions: Of either span; of vectors that span more, the dimensions with most of their unit vectors count.

    Returns:
        Cosines from 0 to 1, descending.
    """
    bases = [
        torch.linalg.svd(normalize(vectors, dim=-1, eps=1e-30), full_matrices=False).Vh[:, :n_dimensions]
        for vectors in (first, second)
    ]
    values: Float[np.ndarray, "n n_dimensions"] = (
        torch.linalg.svdvals(bases[0] @ bases[1].transpose(1, 2)).clamp(0, 1).numpy()
    )
    return values
