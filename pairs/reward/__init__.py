"""Vectors that are trained by reward in a frozen base: which gap they recover, and how."""

from ._train_vectors import train_vectors
from .arms import VectorArm, vector_arms
from .measure import ArmFigures
from .result import TrainedVectors
from .settings import RewardSettings

__all__ = ["ArmFigures", "RewardSettings", "TrainedVectors", "VectorArm", "train_vectors", "vector_arms"]
