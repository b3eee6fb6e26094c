"""Linear probes for behaviours: all at once, cross-validated by problem, beside what else could explain them."""

from .estimators import DiscriminantProbe, LogisticProbe, MeanDifferenceProbe, MultinomialProbe, RidgeProbe
from .result import BehaviourSweep, ProbeSweep
from .saved import SavedProbes
from .sweep import sweep
from .transfer import TransferMatrix, transfer

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
