"""Fit logistic probes with scikit-learn's interface, for two classes and for several."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import expit, softmax

from ..solver import (
    Columns,
    Design,
    Solution,
    solve_logistic,
    solve_multinomial,
)
from .probe import BinaryProbe, LinearProbeMixin

C = 0.01  # a strong penalty, since there are only hundreds of spans in as many dimensions


class LogisticProbe(BinaryProbe):
    """L2-penalised logistic regression: `LogisticRegression(C=C)` after `StandardScaler()`, at the speed of the solver.

    `C` is the inverse strength of the penalty. `standardise` scales every dimension to unit variance first. The search
    ends when the remaining change of the log odds is below the share `tol` of their spread.
    """

    def __init__(self, C: float = C, standardise: bool = True, tol: float = 1e-6) -> None:
        self.C, self.standardise, self.tol = C, standardise, tol

    @property
    def _penalty(self) -> float:
        if not self.C > 0:
            raise ValueError(f"C must be above 0, and {self.C} is not")
        return self.C

    def _solve(self, design: Design, columns: Columns) -> Solution:
        return solve_logistic(design, columns, self.tol)

    def predict_proba(self, X: Any) -> Float[np.ndarray, "n 2"]:
        """Compute the probability of each class.

        Args:
            X: Activations (n, d_model).

        Returns:
            The probabilities of the two classes.
        """
        second = expit(self.decision_function(X))
        return np.stack([1 - second, second], axis=1)


class MultinomialProbe(LinearProbeMixin):
    """Softmax regression over any number of classes: `LogisticRegression(C=C)` of scikit-learn after standardising.

    `directions_` holds a row for each class; the rows sum to zero. Two classes are one logistic regression.
    """

    def __init__(self, C: float = C, standardise: bool = True, tol: float = 1e-6) -> None:
        self.C, self.standardise, self.tol = C, standardise, tol

    def fit(self, X: Any, y: Any) -> MultinomialProbe:
        """Fit the probe.

        Args:
            X: Activations (n, d_model).
            y: The class of each row.

        Returns:
            The probe itself.
        """
        if not self.C > 0:
            raise ValueError(f"C must be above 0, and {self.C} is not")
        design, class_index = self._make_design(X, y)
        n_classes = len(self.classes_)
        classes = np.arange(n_classes) if n_classes > 2 else np.array([1])  # for two classes one column is enough
        columns = Columns(
            torch.from_numpy(class_index == classes[:, None]),
            torch.zeros(len(classes), dtype=torch.long),
            torch.full((len(classes),), self.C, dtype=design.rows.dtype),
        )
        if n_classes > 2:
            self._store(design, solve_multinomial(design, columns, n_classes, self.tol))
            self.directions_ = self.coef_
        else:
            self._store(design, solve_logistic(design, columns, self.tol))
            self.directions_ = np.concatenate([-self.coef_, self.coef_])
        return self

    def predict_proba(self, X: Any) -> Float[np.ndarray, "n n_classes"]:
        """Compute the probability of each class.

        Args:
            X: Activations (n, d_model).

        Returns:
            The probabilities.
        """
        scores = self.decision_function(X)
        if scores.ndim == 1:
            scores = np.stack([np.zeros_like(scores), scores], axis=1)
        probabilities: Float[np.ndarray, "n n_classes"] = softmax(scores, axis=1)
        return probabilities
