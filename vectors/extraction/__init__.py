"""Find directions: each method returns every behaviour's vector at every layer."""

from ._best_layers import best_layers
from ._mean_difference import Against, mean_difference, mean_difference_directions
from .bootstrap import bootstrap_stability
from .content import project_out_content
from .discriminant import lda_directions
from .find import find_directions, open_source
from .methods import (
    METHODS,
    ExtractionMethod,
    Method,
    method_named,
)
from .optimised import optimised_directions
from .optimised_settings import OptimisedSettings
from .pairs import pca_directions
from .probe_weights import logistic_directions, ridge_directions
from .second_moments import effect_sizes, principal_components
from .source import Source, at_layers

__all__ = [
    "METHODS",
    "Against",
    "ExtractionMethod",
    "Method",
    "OptimisedSettings",
    "Source",
    "at_layers",
    "best_layers",
    "bootstrap_stability",
    "effect_sizes",
    "find_directions",
    "lda_directions",
    "logistic_directions",
    "mean_difference",
    "mean_difference_directions",
    "method_named",
    "open_source",
    "optimised_directions",
    "pca_directions",
    "principal_components",
    "project_out_content",
    "ridge_directions",
]
