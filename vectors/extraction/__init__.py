"""Finding directions: each method gives every behaviour's vector at every layer."""

from .mean_difference import Against, mean_difference, mean_difference_directions
from .second_moments import effect_sizes, lda_directions, principal_components

__all__ = [
    "Against",
    "effect_sizes",
    "lda_directions",
    "mean_difference",
    "mean_difference_directions",
    "principal_components",
]
