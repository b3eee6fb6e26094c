"""Extract directions of behaviours, steer models with them, and read and write their files."""

from .direction import Direction
from .directions import Directions
from .extraction import (
    Against,
    OptimisedSettings,
    bootstrap_stability,
    effect_sizes,
    find_directions,
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
from .formats import export_directions, import_directions
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
    "OptimisedSettings",
    "Steered",
    "Steering",
    "Step",
    "When",
    "at_sentence_ends",
    "bootstrap_stability",
    "effect_sizes",
    "export_directions",
    "find_directions",
    "import_directions",
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
