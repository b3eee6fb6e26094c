"""Approximate the inverse curvature of every column at w = 0, so that a few steps are enough.

At w = 0 the Hessian of the logistic loss is p (1 - p) Z'Z + I / C, with p the share of the class. All columns share one
Gram matrix, since folds, behaviours and penalties change only the two factors. Columns of similar r = 1 / (C p (1 - p))
share one Cholesky factor of Z'Z + r I or, with fewer rows than features, of Z Z' + r I (Woodbury). The Gram matrix is
that of all rows, or of a sample if there are many more rows than features: it speeds the search up and does not change
the result.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

STEP = 5.0  # ratios within this factor share a matrix
ROWS_PER_FEATURE = 4


def lower_gram(rows: Float[Tensor, "n k"], block: int = 96) -> Float[Tensor, "k k"]:
    """Compute the lower triangle of rows' rows, which is all that a Cholesky factor reads, in 2/3 of the time."""
    gram = rows.new_zeros(rows.shape[1], rows.shape[1])
    for first in range(0, rows.shape[1], block):
        stop = first + block
        gram[first:stop, :stop] = rows[:, first:stop].T @ rows[:, :stop]
    return gram


class Preconditioner:
    """Applies the inverse of `curvature_j Z'Z + ridge_j I` to column j."""

    def __init__(
        self,
        rows: Float[Tensor, "n d_model"],
        curvature: Float[Tensor, " n_columns"],
        ridge: Float[Tensor, " n_columns"],
    ) -> None:
        n, d_model = rows.shape
        n_sampled = min(n, int(ROWS_PER_FEATURE * d_model))
        if n_sampled < n:
            curvature = curvature * n / n_sampled
            rows = rows[torch.arange(n_sampled, device=rows.device) * n // n_sampled]
        self._rows = rows if n_sampled < d_model else None
        self._curvature, self._ridge = curvature, ridge
        ratio = (ridge / curvature).double()
        self._bucket = (ratio.log() / math.log(STEP)).round().clamp(-40, 40).long()
        self._inverse: dict[int, Tensor] = {}
        gram = lower_gram(rows.T if self._rows is not None else rows)
        for bucket in sorted(set(self._bucket.tolist())):
            shift = STEP**bucket + 1e-6 * float(gram.diagonal().mean())
            factor = torch.linalg.cholesky(gram + shift * torch.eye(len(gram), dtype=gram.dtype, device=gram.device))
            self._inverse[bucket] = torch.cholesky_inverse(factor)

    def __call__(
        self, gradient: Float[Tensor, "n_columns d_model"], columns: Tensor
    ) -> Float[Tensor, "n_columns d_model"]:
        """Apply it to a gradient that holds `columns`."""
        buckets = self._bucket[columns]
        result = torch.empty_like(gradient)
        for bucket in sorted(set(buckets.tolist())):
            members = buckets == bucket
            part = gradient[members]
            if self._rows is None:
                result[members] = part @ self._inverse[bucket]
            else:
                inner = (part @ self._rows.T) @ self._inverse[bucket]
                result[members] = (part - inner @ self._rows) / STEP**bucket
        return result / self._curvature[columns, None]
