"""Compute the two losses: logistic, where every column is one problem, and softmax, where K neighbouring columns are.

Both need only logits, not activations: they return the derivative of the loss by the logits, and its second derivative
along a direction.
"""

from __future__ import annotations

from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

Grid = Float[Tensor, "n_columns n"]


class Loss(Protocol):
    """A convex loss of logits, summed over rows; `group` neighbouring columns are one problem."""

    group: int

    def residual(
        self, logits: Grid, labels: Grid, weights: Grid, along: Grid | None = None
    ) -> tuple[Grid, Float[Tensor, " n_columns"]]:
        """Compute the derivative by the logits, and each column's share of the second derivative along `along`."""
        ...

    def curvature(self, logits: Grid, weights: Grid) -> Float[Tensor, " n_columns"]:
        """Compute the second derivative by each column's bias."""
        ...


class Logistic:
    """The loss log(1 + exp(-y z)) with y = 1, -1 (labels 1, 0)."""

    group = 1

    def residual(
        self, logits: Grid, labels: Grid, weights: Grid, along: Grid | None = None
    ) -> tuple[Grid, Float[Tensor, " n_columns"]]:
        share = torch.sigmoid(logits)
        residual = (share - labels).mul_(weights)
        if along is None:
            return residual, residual.new_zeros(len(residual))
        spread = torch.addcmul(share, share, share, value=-1).mul_(weights)  # p (1 - p)
        return residual, spread.mul_(along).mul_(along).sum(dim=1)

    def curvature(self, logits: Grid, weights: Grid) -> Float[Tensor, " n_columns"]:
        return _spread(torch.sigmoid(logits), weights)


class Softmax:
    """The cross-entropy over `n_classes` neighbouring columns."""

    def __init__(self, n_classes: int) -> None:
        self.group = n_classes

    def residual(
        self, logits: Grid, labels: Grid, weights: Grid, along: Grid | None = None
    ) -> tuple[Grid, Float[Tensor, " n_columns"]]:
        shares = self._grouped(logits).softmax(dim=1).flatten(0, 1)
        residual = (shares - labels) * weights
        if along is None:
            return residual, residual.new_zeros(len(residual))
        mean = self._grouped(shares * along).sum(dim=1, keepdim=True)
        centred = (self._grouped(along) - mean).flatten(0, 1)
        return residual, (shares * centred.square() * weights).sum(dim=1)

    def curvature(self, logits: Grid, weights: Grid) -> Float[Tensor, " n_columns"]:
        return _spread(self._grouped(logits).softmax(dim=1).flatten(0, 1), weights)

    def _grouped(self, grid: Grid) -> Float[Tensor, "n_problems n_classes n"]:
        return grid.view(-1, self.group, grid.shape[1])


def _spread(shares: Grid, weights: Grid) -> Float[Tensor, " n_columns"]:
    """Sum p (1 - p) over the rows."""
    return torch.addcmul(shares, shares, shares, value=-1).mul_(weights).sum(dim=1)
