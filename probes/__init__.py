"""Linear probes for behaviours: all at once, cross-validated by problem, beside what else could explain them."""

from ._sweep import sweep
from ._transfer import TransferMatrix, transfer
from .estimators import (
    DiscriminantProbe,
    LogisticProbe,
    MeanDifferenceProbe,
    MultinomialProbe,
    RidgeProbe,
)
from .result import BehaviourSweep, ProbeSweep
from .saved import SavedProbes

__all__ = [
    "BehaviourSweep",
    "DiscriminantProbe",
    "LogisticProbe",
    "MeanDifferenceProbe",
    "MultinomialProbe",
    "ProbeSweep",
    "RidgeProbe",
    "SavedProbes",
    "TransferMatrix",
    "sweep",
    "transfer",
]
