"""Compare each behaviour's direction in two models, layer by layer.

    cosine = <u, v> / |u| |v|        u, v: directions in base and thinking model, from the same spans

Beside it stand the cosines of random directions (within 1.96 / sqrt(d_model) of 0 in 95% of draws) and of directions
from labels that are shuffled within problems, alike in both models. The interval resamples problems.
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

TIED = 1e-6  # figures that differ by less are equal but for rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectionCosine:
    """How alike one behaviour's directions are at one layer.

    Attributes:
        behaviour: The behaviour.
        layer: Block of the base.
        thinking_layer: Block of the thinking model.
        cosine: Of both directions; 95% over problems.
        random: Of random directions: mean, and the middle 95% of the draws.
        shuffled: Of directions from shuffled labels, likewise.
    """

    behaviour: str
    layer: int
    thinking_layer: int
    cosine: Interval
    random: Interval
    shuffled: Interval

    __repr__ = brief

    @property
    def is_above_shuffled(self) -> bool:
        """Whether the interval lies above 95% of what shuffled labels give."""
        return self.cosine.low > self.shuffled.high + TIED


def direction_cosines(
    contrasts: LayerContrasts,
    behaviours: tuple[str, ...],
    layers: tuple[int, int],
    *,
    n_problems: int,
    n_random: int,
    seed: int,
) -> list[DirectionCosine]:
    """Compare the directions of one layer.

    Args:
        contrasts: The directions.
        behaviours: In their order.
        layers: The block of the base, and that of the thinking model.
        n_problems: That the directions are of.
        n_random: Draws of two random directions.
        seed: Of these draws.

    Returns:
        One row for each behaviour.
    """
    of_all = cosines(contrasts.base, contrasts.thinking)
    shuffled = cosines(contrasts.base_shuffled, contrasts.thinking_shuffled)
    generator = torch.Generator().manual_seed(seed)
    random = torch.randn(2, n_random, 1, contrasts.base.shape[-1], generator=generator, dtype=torch.float64)
    null = middle(cosines(*random)[:, 0])
    return [
        DirectionCosine(
            behaviour=behaviour,
            layer=layers[0],
            thinking_layer=layers[1],
            cosine=Interval(float(of_all[0, index]), *percentile_ends(of_all[1:, index]), n_problems),
            random=null,
            shuffled=middle(shuffled[:, index]),
        )
        for index, behaviour in enumerate(behaviours)
    ]


def cosines(
    first: Float[Tensor, "n n_behaviours d_model"], second: Float[Tensor, "n n_behaviours d_model"]
) -> Float[np.ndarray, "n n_behaviours"]:
    """Compute cosines of vectors; NaN where one of the two is zero.

    Args:
        first: Vectors.
        second: As many.
    """
    products = (normalize(first, dim=-1, eps=1e-30) * normalize(second, dim=-1, eps=1e-30)).sum(dim=-1)
    is_zero = (first.norm(dim=-1) == 0) | (second.norm(dim=-1) == 0)
    values: Float[np.ndarray, "n n_behaviours"] = products.masked_fill(is_zero, torch.nan).clamp(-1, 1).numpy()
    return values


def middle(draws: Float[np.ndarray, " n_draws"]) -> Interval:
    """Summarise the draws of a null by their mean and the middle 95% of them.

    Args:
        draws: The figure under each draw.

    Returns:
        No interval of an estimate: where the figure lies if there is nothing; n counts the draws.
    """
    finite = draws[np.isfinite(draws)]
    return Interval(float(finite.mean()) if len(finite) else float("nan"), *percentile_ends(draws), len(finite))
