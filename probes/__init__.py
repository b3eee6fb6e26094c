"""Linear probes for behaviours, their cross-validation by problem, and their controls."""

from .estimators import DiscriminantProbe, LogisticProbe, MeanDifferenceProbe, MultinomialProbe, RidgeProbe
from .logistic import LinearProbe, fit_logistic
from .result import BehaviourSweep, ProbeSweep
from .sweep import sweep

__all__ = [
    "DiscriminantProbe",
    "LogisticProbe",
    "MeanDifferenceProbe",
    "MultinomialProbe",
    "RidgeProbe",
    "BehaviourSweep",
    "LinearProbe",
    "ProbeSweep",
    "fit_logistic",
    "sweep",
]
