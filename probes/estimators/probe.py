"""Share between probes with scikit-learn's interface: checks, one column of the solver, scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ..solver import Columns, Design, Solution


class LinearProbeMixin(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A linear classifier of raw activations (n, d_model); `coef_` and `intercept_` are for raw activations, too."""

    standardise: bool

    def _make_design(self, X: Any, y: Any) -> tuple[Design, Any]:
        """Make the design of all rows, and number the class of each; raise ValueError for one class only."""
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], ensure_min_samples=2)
        check_classification_targets(y)
        self.classes_, class_index = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"a probe needs examples of at least 2 classes; only one class is there: {self.classes_[0]}"
            )
        activations = torch.from_numpy(np.array(X))
        all_rows = np.ones((1, 1), dtype=bool)
        cell = np.zeros(len(X), dtype=np.int64)
        design = Design.of(activations, cell, all_rows, dtype=activations.dtype, standardise=self.standardise)
        return design, class_index

    def _store(self, design: Design, solution: Solution) -> None:
        weight, bias = solution.raw(design)
        self.coef_, self.intercept_ = weight.numpy(), bias.numpy()
        self.n_iter_ = max(solution.n_iterations, 1)

    def decision_function(self, X: Any) -> Float[np.ndarray, "n ..."]:
        """Score every row.

        Args:
            X: Activations (n, d_model).

        Returns:
            The score of the second class for two classes, of each class for more.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        scores: np.ndarray[Any, np.dtype[np.float64]] = X @ self.coef_.T + self.intercept_
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict(self, X: Any) -> np.ndarray[Any, Any]:
        """Predict the class of every row.

        Args:
            X: Activations (n, d_model).

        Returns:
            The classes.
        """
        scores = self.decision_function(X)
        class_index = (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)
        classes: np.ndarray[Any, Any] = self.classes_[class_index]
        return classes


class BinaryProbe(LinearProbeMixin, ABC):
    """A probe for two classes; `direction_` (d_model,) points towards the second one."""

    @abstractmethod
    def _solve(self, design: Design, columns: Columns) -> Solution: ...

    @property
    def _penalty(self) -> float:
        return 1.0

    def fit(self, X: Any, y: Any) -> Any:
        """Fit the probe. Raises ValueError unless there are two classes.

        Args:
            X: Activations (n, d_model).
            y: The class of each row, one of two.

        Returns:
            The probe itself.
        """
        design, class_index = self._make_design(X, y)
        if len(self.classes_) > 2:
            raise ValueError(
                "Only binary classification is supported. The type of the target is multiclass: "
                f"{len(self.classes_)} classes; use MultinomialProbe"
            )
        columns = Columns(
            torch.from_numpy(class_index == 1)[None],
            torch.zeros(1, dtype=torch.long),
            torch.tensor([self._penalty], dtype=design.rows.dtype),
        )
        self._store(design, self._solve(design, columns))
        self.direction_ = self.coef_[0]
        return self

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags
