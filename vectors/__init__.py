"""Extract directions of behaviours, steer models with them, and read and write their files."""

from ._directions import Directions
from .choice import Choice
from .direction import Direction
from .extraction import (
    Against,
    OptimisedSettings,
    bootstrap_stability,
    effect_sizes,
    lda_directions,
    logistic_directions,
    mean_difference,
    mean_difference_directions,
    optimised_directions,
    pca_directions,
    principal_components,
    project_out_content,
    ridge_directions,
)
from .formats import convert, export, import_
from .residual_norms import with_known_norms, with_norms_of
from .steering import (
    Steered,
    Steering,
    Step,
    When,
    at_sentence_ends,
    steer,
)

__all__ = [
    "Against",
    "Direction",
    "Directions",
    "Choice",
    "OptimisedSettings",
    "Steered",
    "Steering",
    "Step",
    "When",
    "at_sentence_ends",
    "bootstrap_stability",
    "convert",
    "effect_sizes",
    "export",
    "import_",
    "lda_directions",
    "logistic_directions",
    "mean_difference",
    "mean_difference_directions",
    "optimised_directions",
    "pca_directions",
    "principal_components",
    "project_out_content",
    "ridge_directions",
    "steer",
    "with_known_norms",
    "with_norms_of",
]
