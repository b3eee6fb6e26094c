"""Group columns that are trained on the same rows, with the spectrum of those rows, for closed forms.

For the centred, standardised rows Z of a training set, with Z Z' = Q diag(v) Q' or Z'Z = Q diag(v) Q', whichever is
smaller, every shifted system is solved by two products:

    (Z'Z + s I)^-1 Z'r  =  Q diag(1 / (v + s)) Q' Z'r            fewer features than rows
                        =  Z' Q diag(1 / (v + s)) Q' r           fewer rows than features

The Gram matrix of a subset is the sum of those of its cells, so that each row is multiplied once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...models.device_copies import uploaded
from .design import Columns, Design


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Columns, and the rows that all of them are trained on; float64."""

    columns: Int[Tensor, " n_here"]
    rows: Float[Tensor, "n_train d_model"]  # centred on these rows, standardised by the subset
    labels: Float[Tensor, "n_here n_train"]
    mean: Float[Tensor, " d_model"]  # of these rows, in the units of the design's rows
    scale: Float[Tensor, " d_model"]
    values: Float[Tensor, " k"]  # eigenvalues of the Gram matrix
    vectors: Float[Tensor, "k k"]

    def solve(
        self, combination: Float[Tensor, "n_here n_train"], shift: Float[Tensor, " n_here"]
    ) -> Float[Tensor, "n_here d_model"]:
        """Compute (Z'Z + shift I)^-1 Z'r for each r; the shortest solution where that is singular."""
        smallest = 1e-12 * self.values.max().clamp(min=1e-300)
        shifted = self.values + shift[:, None]
        inverse = torch.where(shifted > smallest, 1 / shifted.clamp(min=1e-300), torch.zeros_like(shifted))
        if self.is_dual:
            return ((combination @ self.vectors) * inverse) @ self.vectors.T @ self.rows
        return (combination @ self.rows @ self.vectors * inverse) @ self.vectors.T

    @property
    def is_dual(self) -> bool:
        """Whether the Gram matrix is that of the rows, Z Z'."""
        return len(self.values) == len(self.rows) < self.rows.shape[1]

    @property
    def trace(self) -> Float[Tensor, ""]:
        """The trace of Z'Z."""
        return self.values.sum()


def training_sets(design: Design, columns: Columns) -> Iterator[TrainingSet]:
    """Group the columns by the rows that they are trained on."""
    cell_grams = None if columns.trainable is not None else _CellGrams(design)
    for subset, trained, members in _group_by_rows(design, columns):
        rows = design.rows[trained].double()
        mean, scale = rows.mean(dim=0), design.scale[subset].double()
        centred = (rows - mean) / scale
        if len(rows) < rows.shape[1]:
            gram = centred @ centred.T
        elif cell_grams is None:
            gram = centred.T @ centred
        else:
            centred_gram = cell_grams.of_subset(subset) - len(rows) * torch.outer(mean, mean)
            gram = centred_gram / torch.outer(scale, scale)
        values, vectors = torch.linalg.eigh(gram)
        labels = columns.labels[members][:, trained].double()
        yield TrainingSet(members, centred, labels, mean, scale, values.clamp(min=0), vectors)


def _group_by_rows(design: Design, columns: Columns) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Yield a subset, the rows of it that are trained on, and the columns that are trained on them."""
    device = design.rows.device
    if columns.trainable is None:
        subsets = columns.subset.tolist()
        for subset in sorted(set(subsets)):
            members = [column for column, own in enumerate(subsets) if own == subset]
            yield subset, design.rows_of(subset), uploaded(members, device)
        return
    trained = design.in_subset[columns.subset] & columns.trainable
    columns_by_rows: dict[tuple[int, bytes], list[int]] = {}
    masks = trained.cpu().numpy()
    for column, (subset, row) in enumerate(zip(columns.subset.tolist(), masks, strict=True)):
        columns_by_rows.setdefault((subset, row.tobytes()), []).append(column)
    for (subset, _), members in columns_by_rows.items():
        rows = torch.from_numpy(np.flatnonzero(masks[members[0]]))
        yield subset, uploaded(rows, device), uploaded(members, device)


class _CellGrams:
    """Z'Z of every cell, computed when first needed."""

    def __init__(self, design: Design) -> None:
        self._design = design
        self._grams: dict[int, Tensor] = {}

    def of_subset(self, subset: int) -> Float[Tensor, "d_model d_model"]:
        """Add up the Gram matrices of a subset's cells."""
        grams = [self._of(cell) for cell in self._design.cells_of(subset)]
        return torch.stack(grams).sum(dim=0) if len(grams) > 1 else grams[0].clone()

    def _of(self, cell: int) -> Tensor:
        if cell not in self._grams:
            rows = self._design.rows[self._design.rows_in(cell)]
            self._grams[cell] = (rows.T @ rows).double()
        return self._grams[cell]
