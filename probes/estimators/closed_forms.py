"""Fit probes that have a closed form, with scikit-learn's interface."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import expit

from ..solver import (
    Columns,
    Design,
    Solution,
    solve_discriminant,
    solve_mean_difference,
    solve_ridge,
)
from .probe import BinaryProbe


class RidgeProbe(BinaryProbe):
    """Least squares on labels 1 and -1: `RidgeClassifier(alpha)` after `StandardScaler()`."""

    def __init__(self, alpha: float = 100.0, standardise: bool = True) -> None:
        self.alpha, self.standardise = alpha, standardise

    @property
    def _penalty(self) -> float:
        if not self.alpha >= 0:
            raise ValueError(f"alpha must not be below 0, and {self.alpha} is")
        return self.alpha

    def _solve(self, design: Design, columns: Columns) -> Solution:
        return solve_ridge(design, columns)


class DiscriminantProbe(BinaryProbe):
    """The whitened mean difference: `LinearDiscriminantAnalysis("lsqr", shrinkage)` after `StandardScaler()`."""

    def __init__(self, shrinkage: float = 0.2, standardise: bool = True) -> None:
        self.shrinkage, self.standardise = shrinkage, standardise

    @property
    def _penalty(self) -> float:
        if not 0 <= self.shrinkage <= 1:
            raise ValueError(f"shrinkage must lie between 0 and 1, and {self.shrinkage} does not")
        return self.shrinkage

    def _solve(self, design: Design, columns: Columns) -> Solution:
        return solve_discriminant(design, columns)

    def predict_proba(self, X: Any) -> Float[np.ndarray, "n 2"]:
        """Compute the probability of each class, if both are normal with the same covariance.

        Args:
            X: Activations (n, d_model).

        Returns:
            The probabilities of the two classes.
        """
        second = expit(self.decision_function(X))
        return np.stack([1 - second, second], axis=1)


class MeanDifferenceProbe(BinaryProbe):
    """The difference of the class means of raw activations ("mass mean"), scored from the midpoint between them."""

    standardise = False

    def _solve(self, design: Design, columns: Columns) -> Solution:
        return solve_mean_difference(design, columns)
