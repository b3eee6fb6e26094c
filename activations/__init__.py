"""Read activations of labelled spans at any site of a model, pooled over tokens inside the forward pass."""

from ._collect import collect
from .activations import Activations, ActivationsSource, open_activations, open_collection
from .collection import Collection
from .contrast import collect_pairs
from .example import Example
from .layers import parse_layers
from .moments import Moments, collect_moments, open_moments
from .read import Read
from .settings import CollectSettings

__all__ = [
    "Activations",
    "ActivationsSource",
    "CollectSettings",
    "Collection",
    "Example",
    "Moments",
    "Read",
    "collect",
    "collect_moments",
    "collect_pairs",
    "open_activations",
    "open_collection",
    "open_moments",
    "parse_layers",
]
