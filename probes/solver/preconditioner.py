"""Approximate the inverse curvature of every column, so that a few steps are enough.

At w = 0 the Hessian of the logistic loss is p (1 - p) Z'Z + I / C, with p the share of the class; elsewhere the
mean of p (1 - p) over the rows stands for it. All columns share one Gram matrix, since folds, behaviours and
penalties change only the two factors. Columns of similar r = 1 / (C p (1 - p)) share one Cholesky factor of Z'Z + r
I or, with fewer rows than features, of Z Z' + r I (Woodbury). The Gram matrix is that of all rows, or of a sample
if there are many more rows than features: it speeds the search up and does not change the result.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ...models.device_copies import uploaded
from ...models.products import product

STEP = 5.0  # ratios within this factor share a matrix
ROWS_PER_FEATURE = 4


def lower_gram(rows: Float[Tensor, "n k"], block: int = 96) -> Float[Tensor, "k k"]:
    """Compute the lower triangle of rows' rows, which is all that a Cholesky factor reads, in 2/3 of the time."""
    gram = rows.new_zeros(rows.shape[1], rows.shape[1])
    for first in range(0, rows.shape[1], block):
        stop = first + block
        gram[first:stop, :stop] = rows[:, first:stop].T @ rows[:, :stop]
    return gram


class Inverses:
    """Inverses of `Z'Z + STEP^bucket I` for some rows, each computed when it is first needed."""

    def __init__(self, rows: Float[Tensor, "n d_model"]) -> None:
        n, d_model = rows.shape
        n_sampled = min(n, int(ROWS_PER_FEATURE * d_model))
        if n_sampled < n:
            rows = rows[torch.arange(n_sampled, device=rows.device) * n // n_sampled]
        self.rows = rows if n_sampled < d_model else None  # of ZZ', where that is smaller
        self._n, self._n_sampled = n, n_sampled
        self._gram = lower_gram(rows.T if self.rows is not None else rows)
        self._inverses: dict[int, Tensor] = {}

    def __getitem__(self, bucket: int) -> Float[Tensor, "k k"]:
        """Compute the inverse of a bucket, or return it where it is known."""
        if bucket not in self._inverses:
            gram = self._gram
            shift = gram.diagonal().mean().double() * 1e-6 + STEP**bucket
            eye = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
            # cholesky looks whether it succeeded, for which the host waits; where it did not, scores are not finite.
            factor, _ = torch.linalg.cholesky_ex(gram + shift.to(gram.dtype) * eye)
            self._inverses[bucket] = torch.cholesky_inverse(factor)
        return self._inverses[bucket]

    def curvature(self, curvature: Float[Tensor, " n_columns"]) -> Float[Tensor, " n_columns"]:
        """Scale the curvature of all rows to that of the rows that are used."""
        return curvature if self._n_sampled == self._n else curvature * self._n / self._n_sampled


class Preconditioner:
    """Applies the inverse of `curvature_j Z'Z + ridge_j I` to column j."""

    def __init__(
        self, inverses: Inverses, curvature: Float[Tensor, " n_columns"], ridge: Float[Tensor, " n_columns"]
    ) -> None:
        self._inverses, self._curvature = inverses, inverses.curvature(curvature)
        ratio = (ridge / self._curvature).double()
        self.bucket = (ratio.log() / math.log(STEP)).round().clamp(-40, 40).long()  # of each column
        self._groups: list[tuple[int, Tensor | None]] = []

    def take(self, buckets: Sequence[int], columns: Tensor | None) -> None:
        """Choose the columns that gradients hold from now on.

        Args:
            buckets: Of these columns, on the host.
            columns: Their numbers among those before; None: all.
        """
        if columns is not None:
            self._curvature = self._curvature[columns]
        device, distinct = self._curvature.device, sorted(set(buckets))
        members = [[place for place, own in enumerate(buckets) if own == bucket] for bucket in distinct]
        self._groups = [
            (bucket, None if len(distinct) == 1 else uploaded(places, device))
            for bucket, places in zip(distinct, members, strict=True)
        ]

    def __call__(self, gradient: Float[Tensor, "n_columns d_model"]) -> Float[Tensor, "n_columns d_model"]:
        """Apply it to a gradient that holds the columns of the last `take`."""
        result = torch.empty_like(gradient)
        for bucket, members in self._groups:
            part = gradient if members is None else gradient[members]
            if self._inverses.rows is None:
                solved = product(part, self._inverses[bucket])
            else:
                inner = product(product(part, self._inverses.rows), self._inverses[bucket])
                solved = (part - product(inner, self._inverses.rows.T)) / STEP**bucket
            if members is None:
                result = solved
            else:
                result[members] = solved
        return result / self._curvature[:, None]
