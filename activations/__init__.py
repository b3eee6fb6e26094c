"""Read residual-stream activations of labelled spans, pooled over tokens inside the forward pass."""

from ._collect import collect
from .activations import Activations, ActivationsSource, open_activations
from .example import Example
from .layers import parse_layers
from .moments import Moments, collect_moments
from .read import Read
from .settings import CollectSettings

__all__ = [
    "Activations",
    "ActivationsSource",
    "CollectSettings",
    "Example",
    "Moments",
    "Read",
    "collect",
    "collect_moments",
    "open_activations",
    "parse_layers",
]
