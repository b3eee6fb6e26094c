"""Directions of behaviours: finding them, acting with them, and their files."""

from .direction import Direction
from .directions import Directions
from .extraction import (
    Against,
    effect_sizes,
    lda_directions,
    mean_difference,
    mean_difference_directions,
    principal_components,
)

__all__ = [
    "Against",
    "Direction",
    "Directions",
    "effect_sizes",
    "lda_directions",
    "mean_difference",
    "mean_difference_directions",
    "principal_components",
]
