"""The hot path: many texts through a model once, averaging activations of chosen positions on the way."""

from .run import Engine, Pooled
from .segments import Segments

__all__ = ["Engine", "Pooled", "Segments"]
