"""Linear probes for behaviours: all at once, cross-validated by problem, with what else could explain what they find."""

from .estimators import DiscriminantProbe, LogisticProbe, MeanDifferenceProbe, MultinomialProbe, RidgeProbe
from .result import BehaviourSweep, ProbeSweep
from .saved import SavedProbes
from .sweep import sweep

__all__ = [
    "BehaviourSweep",
    "DiscriminantProbe",
    "LogisticProbe",
    "MeanDifferenceProbe",
    "MultinomialProbe",
    "ProbeSweep",
    "RidgeProbe",
    "SavedProbes",
    "sweep",
]
