"""Fit linear probes for behaviours, cross-validated by problem, with controls for what else could explain them."""

from ._sweep import sweep
from ._transfer import transfer
from .behaviour_sweep import BehaviourSweep
from .estimators import (
    DiscriminantProbe,
    LogisticProbe,
    MeanDifferenceProbe,
    MultinomialProbe,
    RidgeProbe,
)
from .result import FittedProbes, ProbeSweep
from .saved import SavedProbes
from .transfer_matrix import TransferMatrix

__all__ = [
    "BehaviourSweep",
    "DiscriminantProbe",
    "FittedProbes",
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
