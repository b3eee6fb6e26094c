"""Count, mean and second moments of vectors, layer by layer, in float64, that can be added up in any order.

    n = a.n + b.n,  delta = b.mean - a.mean
    mean = a.mean + delta b.n / n
    m2 = a.m2 + b.m2 + delta^2 a.n b.n / n           (sums of squared deviations; comoment likewise with delta delta^T)

(Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance".) Nothing is lost where the mean is large
against the spread, as it would be in sums of squares.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ...rundir import InputError


@dataclass(frozen=True, eq=False, slots=True)
class Summary:
    """Of `count` vectors at each layer: mean, sums of squared deviations, and on request their outer products."""

    count: int
    mean: Float[Tensor, "n_layers d_model"]  # float64
    m2: Float[Tensor, "n_layers d_model"]  # float64
    comoment: Float[Tensor, "n_layers d_model d_model"] | None = None  # float64

    @classmethod
    def of(cls, acts: Float[Tensor, "n_layers n d_model"], covariance: bool = False) -> Summary:
        """Of these vectors, where they are."""
        exact = acts.double()
        mean = exact.mean(dim=1)
        deviations = exact - mean[:, None]
        comoment = deviations.transpose(1, 2) @ deviations if covariance else None
        return cls(acts.shape[1], mean, deviations.square().sum(dim=1), comoment)

    @classmethod
    def of_none(cls, n_layers: int, d_model: int) -> Summary:
        """Of no vector."""
        nothing = torch.zeros(n_layers, d_model, dtype=torch.float64)
        return cls(0, nothing, nothing.clone())

    def __add__(self, other: Summary) -> Summary:
        """Of the vectors of both; either may be of none."""
        if (self.comoment is None) != (other.comoment is None):
            raise InputError("moments with covariances and without cannot be added up; collect both alike")
        count = self.count + other.count
        delta = other.mean - self.mean
        share = self.count * other.count / max(count, 1)
        comoment = None
        if self.comoment is not None and other.comoment is not None:
            comoment = self.comoment + other.comoment
            comoment += delta[:, :, None] * delta[:, None, :] * share
        mean = self.mean + delta * (other.count / max(count, 1))
        return Summary(count, mean, self.m2 + other.m2 + delta.square() * share, comoment)

    def variance(self, correction: int = 1) -> Float[Tensor, "n_layers d_model"]:
        """Of each dimension. Raises InputError with too few vectors for it."""
        return self.m2 / self._degrees(correction)

    def covariance(self, correction: int = 1) -> Float[Tensor, "n_layers d_model d_model"]:
        """Raises InputError when it was not collected, or with too few vectors."""
        if self.comoment is None:
            raise InputError("covariances were not collected; collect moments with covariance=True (--covariance)")
        return self.comoment / self._degrees(correction)

    def _degrees(self, correction: int) -> int:
        if self.count <= correction:
            raise InputError(f"a variance needs more than {correction} vectors, and there are {self.count}")
        return self.count - correction

    def cpu(self) -> Summary:
        return Summary(
            self.count, self.mean.cpu(), self.m2.cpu(), None if self.comoment is None else self.comoment.cpu()
        )
