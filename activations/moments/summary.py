"""Hold count, mean and second moments of vectors, layer by layer, in float64; they can be added up in any order.

    n = a.n + b.n,  delta = b.mean - a.mean
    mean = a.mean + delta b.n / n
    m2 = a.m2 + b.m2 + delta^2 a.n b.n / n           (sums of squared deviations; comoment likewise with delta delta^T)

(Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance".) Unlike sums of squares, this loses no
precision where the mean is large against the spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ...rundir import InputError, brief


@dataclass(frozen=True, eq=False, slots=True)
class Summary:
    """Moments of `count` vectors at each layer: mean, sums of squared deviations and, on request, comoments."""

    count: int
    mean: Float[Tensor, "n_layers d_model"]  # float64
    m2: Float[Tensor, "n_layers d_model"]  # float64
    comoment: Float[Tensor, "n_layers d_model d_model"] | None = None  # float64, sums of outer products of deviations

    LOOK = ".mean, .variance()"
    __repr__ = brief

    @classmethod
    def of(cls, activations: Float[Tensor, "n_layers n d_model"], covariance: bool = False) -> Summary:
        """Compute the moments of vectors, on their own device.

        Args:
            activations: The vectors at each layer.
            covariance: Also compute comoments.

        Returns:
            The moments.
        """
        exact = activations.double()
        mean = exact.mean(dim=1)
        deviations = exact - mean[:, None]
        comoment = deviations.transpose(1, 2) @ deviations if covariance else None
        return cls(activations.shape[1], mean, deviations.square().sum(dim=1), comoment)

    def include(self, activations: Float[Tensor, "n_layers n d_model"]) -> Summary:
        """Merge the moments of more vectors into these, in place; comoments one layer at a time.

        The numbers are those of `self + Summary.of(activations, covariance)`, without comoments of all layers beside
        those that are held.

        Args:
            activations: The vectors at each layer, on the device of these moments.

        Returns:
            The merged moments; these are not to be used any more.
        """
        exact = activations.double()
        mean = exact.mean(dim=1)
        deviations = exact - mean[:, None]
        own = Summary(activations.shape[1], mean, deviations.square().sum(dim=1))
        if self.comoment is None:
            return self.absorb(own)
        for layer, comoment in enumerate(self.comoment):
            of_layer = deviations[layer : layer + 1]
            comoment += (of_layer.transpose(1, 2) @ of_layer)[0]
        return self._absorbed(own)

    def absorb(self, other: Summary) -> Summary:
        """Merge other moments into these, in place, one layer of comoments at a time; the numbers are those of `+`.

        Args:
            other: The moments of other vectors, on the same device.

        Returns:
            The merged moments; these are not to be used any more.

        Raises:
            InputError: Only one of them has comoments.
        """
        self._check_alike(other)
        if self.comoment is not None and other.comoment is not None:
            self.comoment.add_(other.comoment)
        return self._absorbed(other)

    def _absorbed(self, other: Summary) -> Summary:
        """Merge all but the other's own comoment."""
        count = self.count + other.count
        delta = other.mean - self.mean
        share = self.count * other.count / max(count, 1)
        if self.comoment is not None:
            for comoment, of_layer in zip(self.comoment, delta, strict=True):
                comoment += of_layer[:, None] * of_layer[None, :] * share
        self.mean.add_(delta * (other.count / max(count, 1)))
        self.m2.add_(other.m2).add_(delta.square() * share)
        return Summary(count, self.mean, self.m2, self.comoment)

    @classmethod
    def of_none(
        cls, n_layers: int, d_model: int, *, covariance: bool = False, device: torch.device | None = None
    ) -> Summary:
        """Make the moments of no vector, to begin a sum with.

        Args:
            n_layers: The number of layers.
            d_model: The width of the vectors.
            covariance: Whether comoments will be added up, too.
            device: Where; None: on the CPU.

        Returns:
            The moments, all zero.
        """
        zeros = torch.zeros(n_layers, d_model, dtype=torch.float64, device=device)
        comoment = zeros.new_zeros(n_layers, d_model, d_model) if covariance else None
        return cls(0, zeros, zeros.clone(), comoment)

    def __add__(self, other: Summary) -> Summary:
        """Merge the moments of two sets of vectors; either may be empty."""
        self._check_alike(other)
        count = self.count + other.count
        delta = other.mean - self.mean
        share = self.count * other.count / max(count, 1)
        comoment = None
        if self.comoment is not None and other.comoment is not None:
            comoment = self.comoment + other.comoment
            for of_pair, of_layer in zip(comoment, delta, strict=True):
                of_pair += of_layer[:, None] * of_layer[None, :] * share
        mean = self.mean + delta * (other.count / max(count, 1))
        return Summary(count, mean, self.m2 + other.m2 + delta.square() * share, comoment)

    def _check_alike(self, other: Summary) -> None:
        if (self.comoment is None) != (other.comoment is None):
            raise InputError("moments with covariances and without cannot be added up; collect both alike")

    def variance(self, correction: int = 1) -> Float[Tensor, "n_layers d_model"]:
        """Compute the variance of each dimension.

        Args:
            correction: What is subtracted from the count in the denominator.

        Returns:
            The variances at each layer.

        Raises:
            InputError: There are too few vectors.
        """
        return self.m2 / self._degrees_of_freedom(correction)

    def covariance(self, correction: int = 1) -> Float[Tensor, "n_layers d_model d_model"]:
        """Compute the covariance matrix at each layer.

        Args:
            correction: What is subtracted from the count in the denominator.

        Returns:
            The covariances.

        Raises:
            InputError: Covariances were not collected, or there are too few vectors.
        """
        if self.comoment is None:
            raise InputError("covariances were not collected; collect moments with covariance=True (--covariance)")
        return self.comoment / self._degrees_of_freedom(correction)

    def _degrees_of_freedom(self, correction: int) -> int:
        if self.count <= correction:
            raise InputError(f"a variance needs more than {correction} vectors, and there are {self.count}")
        return self.count - correction

    def cpu(self) -> Summary:
        """Copy the moments to the CPU."""
        return Summary(
            self.count, self.mean.cpu(), self.m2.cpu(), None if self.comoment is None else self.comoment.cpu()
        )


def joined(parts: Sequence[Summary], slots: Sequence[Sequence[int]]) -> Summary:
    """Put moments of the same vectors at different layers together.

    Args:
        parts: The moments of some layers each, on the CPU.
        slots: The places of their layers in the result.

    Returns:
        The moments of all layers.
    """
    order = torch.tensor([slot for of_part in slots for slot in of_part]).argsort()
    comoments = [part.comoment for part in parts if part.comoment is not None]
    return Summary(
        parts[0].count,
        torch.cat([part.mean for part in parts])[order],
        torch.cat([part.m2 for part in parts])[order],
        torch.cat(comoments)[order] if comoments else None,
    )
