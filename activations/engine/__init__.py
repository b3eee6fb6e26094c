"""Run many texts through a model once, averaging the activations of chosen positions on the way (the hot path)."""

from .layer_means import LayerMeans
from .results import Pooled
from .run import Engine
from .segments import Segments

__all__ = ["Engine", "LayerMeans", "Pooled", "Segments"]
