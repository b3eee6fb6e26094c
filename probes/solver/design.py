"""Standardise one layer's activations once, with mean and spread of every training subset, for the solvers.

Rows belong to cells (the test folds), and a training subset is a union of cells. Every column of a solution is fitted
on one subset and standardised on that subset alone, without copying its rows:

    u . (x - mean_s) / spread_s  =  v . x - v . mean_s,      v = u / spread_s

A feature that is constant in a subset has spread 1 there, so that it gets no weight. Sums over a subset add up its rows
and are never differences, which would lose a small spread next to a large one outside the subset.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...models.device_copies import uploaded
from .preconditioner import Inverses

CONSTANT = 1e-5  # a spread below this share of the overall spread is rounding


@dataclass(frozen=True, eq=False)
class Design:
    """Standardised rows in cells, and the subsets of the cells to train on."""

    rows: Float[Tensor, "n d_model"]  # standardised over all rows
    cell: Int[Tensor, " n"]
    subsets: Bool[Tensor, "n_subsets n_cells"]
    centre: Float[Tensor, " d_model"]  # mean of the raw rows, float64
    spread: Float[Tensor, " d_model"]  # standard deviation of the raw rows, float64
    mean: Float[Tensor, "n_subsets d_model"] = field(init=False)  # of the standardised rows of each subset
    scale: Float[Tensor, "n_subsets d_model"] = field(init=False)  # their standard deviation

    def __post_init__(self) -> None:
        members = self.in_subset.to(self.rows.dtype)
        count = members.sum(dim=1, keepdim=True).clamp(min=1)
        mean = members @ self.rows / count
        variance = (members @ self.rows.square() / count - mean.square()).clamp(min=0)
        spread = variance.sqrt()
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "scale", torch.where(spread > CONSTANT, spread, torch.ones_like(spread)))

    @classmethod
    def of(
        cls,
        activations: Float[Tensor, "n d_model"],
        cell: Int[np.ndarray, " n"],
        subsets: Bool[np.ndarray, "n_subsets n_cells"],
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        standardise: bool = True,
    ) -> Design:
        """Make a design from raw activations.

        Args:
            activations: The rows.
            cell: The cell of each row.
            subsets: The cells of each training subset.
            device: Where the design is stored.
            dtype: Of the rows and of the products with them.
            standardise: Scale every dimension to unit variance. Otherwise only the overall mean is subtracted, which
                changes no weight and keeps sums small.

        Returns:
            The design.
        """
        activations = activations.to(device)
        activations = activations.to(dtype if activations.dtype == torch.float64 else torch.float32)
        centre = activations.mean(dim=0)
        rows = activations - centre
        spread = torch.ones_like(centre)
        if standardise:
            spread = torch.linalg.vector_norm(rows, dim=0) / len(rows) ** 0.5
            is_constant = spread <= 1e-6 * centre.abs()  # so small a spread is rounding
            rows *= torch.where(is_constant, 0.0, 1 / torch.where(is_constant, 1.0, spread))
            spread = torch.where(is_constant, 1.0, spread)
        device = rows.device
        design = cls(
            rows.to(dtype),
            uploaded(torch.from_numpy(np.ascontiguousarray(cell)), device),
            uploaded(torch.from_numpy(np.ascontiguousarray(subsets)), device),
            centre.double(),
            spread.double(),
        )
        object.__setattr__(design, "host", (np.asarray(cell), np.asarray(subsets)))
        if not standardise:
            object.__setattr__(design, "scale", torch.ones_like(design.scale))
        return design

    @cached_property
    def host(self) -> tuple[Int[np.ndarray, " n"], Bool[np.ndarray, "n_subsets n_cells"]]:
        """`cell` and `subsets` as the host knows them, without waiting for a device."""
        return self.cell.cpu().numpy(), self.subsets.cpu().numpy()

    @cached_property
    def inverses(self) -> Inverses:
        """Inverse curvatures of the rows, which all solutions of this design share."""
        return Inverses(self.rows)

    def rows_of(self, subset: int) -> Int[Tensor, " n_train"]:
        """List the rows of a subset.

        Args:
            subset: Its number.

        Returns:
            Numbers of rows, on the device of the rows.
        """
        cell, subsets = self.host
        return uploaded(torch.from_numpy(np.flatnonzero(subsets[subset][cell])), self.rows.device)

    def rows_in(self, cell: int) -> Int[Tensor, " n_here"]:
        """List the rows of a cell.

        Args:
            cell: Its number.

        Returns:
            Numbers of rows, on the device of the rows.
        """
        return uploaded(torch.from_numpy(np.flatnonzero(self.host[0] == cell)), self.rows.device)

    def cells_of(self, subset: int) -> list[int]:
        """List the cells of a subset.

        Args:
            subset: Its number.

        Returns:
            Numbers of cells.
        """
        return [int(cell) for cell in np.flatnonzero(self.host[1][subset])]

    @property
    def in_subset(self) -> Bool[Tensor, "n_subsets n"]:
        """Whether each subset contains each row."""
        return self.subsets[:, self.cell]


@dataclass(frozen=True, eq=False)
class Columns:
    """The probes to fit: column j predicts `labels[j]` from the rows of subset `subset[j]`."""

    labels: Bool[Tensor, "n_columns n"]
    subset: Int[Tensor, " n_columns"]
    penalty: Float[Tensor, " n_columns"]  # its meaning depends on the solver
    trainable: Bool[Tensor, "n_columns n"] | None = None  # False for rows to leave out as well; None: none

    def __len__(self) -> int:
        return len(self.subset)

    def weights(self, design: Design) -> Float[Tensor, "n_columns n"]:
        """Weight each row: 1 if the column is trained on it, else 0.

        Args:
            design: The rows and the subsets.

        Returns:
            The weights.
        """
        trained = design.in_subset[self.subset]
        return (trained if self.trainable is None else trained & self.trainable).to(design.rows.dtype)


@dataclass(frozen=True, eq=False)
class Solution:
    """Linear scores of standardised rows: weight . row + bias."""

    weight: Float[Tensor, "n_columns d_model"]
    bias: Float[Tensor, " n_columns"]
    n_iterations: int = 0
    is_converged: Bool[Tensor, " n_columns"] | None = None

    def scores(self, design: Design) -> Float[Tensor, "n_columns n"]:
        """Score every row of a design.

        Args:
            design: The rows.

        Returns:
            The scores of each column.
        """
        return torch.addmm(self.bias[:, None], self.weight, design.rows.T)

    def raw(self, design: Design) -> tuple[Float[Tensor, "n_columns d_model"], Float[Tensor, " n_columns"]]:
        """Convert weights and biases to raw activations.

        Args:
            design: The design that the columns were fitted on.

        Returns:
            Weights and biases, float64.
        """
        weight = self.weight.double() / design.spread
        return weight, self.bias.double() - weight @ design.centre
