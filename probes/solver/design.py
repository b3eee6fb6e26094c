"""One layer's activations as the solvers see them: standardised once, with mean and spread of every training subset.

Rows belong to cells (the test folds), and a training subset is a union of cells. Every column of a solution is fitted
on one subset, standardised on that subset alone, without a copy of the rows for it:

    u . (x - mean_s) / spread_s  =  v . x - v . mean_s,      v = u / spread_s

A feature that is constant in a subset has spread 1 there, so that it gets no weight. Sums over a subset are sums of its
cells' rows and never differences, which would lose a small spread beside a large one outside the subset.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

CONSTANT = 1e-5  # a spread below this share of the overall one is rounding


@dataclass(frozen=True, eq=False)
class Design:
    """`n` rows of `d_model` features in cells, and subsets of the cells to train on."""

    rows: Float[Tensor, "n d_model"]  # standardised over all rows
    cell: Int[Tensor, " n"]
    subsets: Bool[Tensor, "n_subsets n_cells"]
    centre: Float[Tensor, " d_model"]  # float64: of the raw rows
    spread: Float[Tensor, " d_model"]
    mean: Float[Tensor, "n_subsets d_model"] = field(init=False)  # of each subset, of the standardised rows
    scale: Float[Tensor, "n_subsets d_model"] = field(init=False)

    def __post_init__(self) -> None:
        chosen = self.in_subset.to(self.rows.dtype)
        count = chosen.sum(dim=1, keepdim=True).clamp(min=1)
        mean = chosen @ self.rows / count
        variance = (chosen @ self.rows.square() / count - mean.square()).clamp(min=0)
        spread = variance.sqrt()
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "scale", torch.where(spread > CONSTANT, spread, torch.ones_like(spread)))

    @classmethod
    def of(
        cls,
        acts: Float[Tensor, "n d_model"],
        cell: Int[np.ndarray, " n"],
        subsets: Bool[np.ndarray, "n_subsets n_cells"],
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        standardise: bool = True,
    ) -> Design:
        """Of raw activations. dtype: of the products. standardise: or leave as they are
        but for the overall mean, with which every weight means the same and sums stay small."""
        acts = acts.to(device)
        acts = acts.to(dtype if acts.dtype == torch.float64 else torch.float32)
        centre = acts.mean(dim=0)
        rows = acts - centre
        spread = torch.ones_like(centre)
        if standardise:
            spread = torch.linalg.vector_norm(rows, dim=0) / len(rows) ** 0.5
            tiny = spread <= 1e-6 * centre.abs()  # what is left of a constant is rounding
            rows *= torch.where(tiny, 0.0, 1 / torch.where(tiny, 1.0, spread))
            spread = torch.where(tiny, 1.0, spread)
        made = cls(
            rows.to(dtype),
            torch.from_numpy(np.ascontiguousarray(cell)).to(device),
            torch.from_numpy(np.ascontiguousarray(subsets)).to(device),
            centre.double(),
            spread.double(),
        )
        if not standardise:
            object.__setattr__(made, "scale", torch.ones_like(made.scale))
        return made

    @property
    def in_subset(self) -> Bool[Tensor, "n_subsets n"]:
        """Which rows each subset trains on."""
        return self.subsets[:, self.cell]


@dataclass(frozen=True, eq=False)
class Columns:
    """What is to be fitted: column j predicts `labels[j]` from the rows of subset `subset[j]`.

    kept: further rows to leave out of each column; None: none.
    """

    labels: Bool[Tensor, "n_columns n"]
    subset: Int[Tensor, " n_columns"]
    penalty: Float[Tensor, " n_columns"]  # what it means is the solver's
    kept: Bool[Tensor, "n_columns n"] | None = None

    def __len__(self) -> int:
        return len(self.subset)

    def weights(self, design: Design) -> Float[Tensor, "n_columns n"]:
        """1 where a row is trained on, else 0."""
        trained = design.in_subset[self.subset]
        return (trained if self.kept is None else trained & self.kept).to(design.rows.dtype)


@dataclass(frozen=True, eq=False)
class Solution:
    """Linear scores of standardised rows: weight . row + bias."""

    weight: Float[Tensor, "n_columns d_model"]
    bias: Float[Tensor, " n_columns"]
    n_iterations: int = 0
    is_converged: Bool[Tensor, " n_columns"] | None = None

    def scores(self, design: Design) -> Float[Tensor, "n_columns n"]:
        return torch.addmm(self.bias[:, None], self.weight, design.rows.T)

    def raw(self, design: Design) -> tuple[Float[Tensor, "n_columns d_model"], Float[Tensor, " n_columns"]]:
        """Weights and biases for raw activations, float64."""
        weight = self.weight.double() / design.spread
        return weight, self.bias.double() - weight @ design.centre
