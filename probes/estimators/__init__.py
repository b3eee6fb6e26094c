"""Fit linear probes with scikit-learn's interface: fit, decision_function, predict, and the direction of each."""

from .closed_forms import DiscriminantProbe, MeanDifferenceProbe, RidgeProbe
from .logistic import LogisticProbe, MultinomialProbe

__all__ = ["DiscriminantProbe", "LogisticProbe", "MeanDifferenceProbe", "MultinomialProbe", "RidgeProbe"]
