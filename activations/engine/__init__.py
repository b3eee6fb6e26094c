"""Run many texts through a model once, averaging the activations of chosen positions on the way (the hot path)."""

from .run import Engine, Pooled
from .segments import Segments

__all__ = ["Engine", "Pooled", "Segments"]
