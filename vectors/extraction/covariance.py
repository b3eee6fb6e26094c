"""Compute the mean of each label and the covariances of the spans at one layer, from activations or from moments.

With n_l spans of label l at mean m_l, and W the sums of squares around their own label's mean:

    within            W / n                              the covariance that remains when every label's mean is removed
    total             within + sum_l n_l (m_l - m)(m_l - m)' / n
    mean difference   mean of a behaviour's spans - mean of all others

Everything is float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...activations import Moments
from .source import Source


@dataclass(frozen=True, eq=False, slots=True)
class LayerCovariance:
    """Means and covariances of the labelled spans at one layer."""

    labels: tuple[str, ...]
    counts: Float[Tensor, " n_labels"]
    means: Float[Tensor, "n_labels d_model"]
    within: Float[Tensor, "d_model d_model"]

    @classmethod
    def of(cls, source: Source, layer: int) -> LayerCovariance:
        """Compute them from `source` at `layer`. Raises InputError for moments collected without covariances."""
        labels = source.behaviours
        if isinstance(source, Moments):
            slot = source.layers.index(layer)
            summaries = [source.of_label(label) for label in labels]
            counts = torch.tensor([summary.count for summary in summaries], dtype=torch.float64)
            means = torch.stack([summary.mean[slot] for summary in summaries])
            for summary in summaries:
                summary.covariance(0)  # raises InputError where covariances were not collected
            comoments = torch.stack([summary.comoment[slot] for summary in summaries if summary.comoment is not None])
            return cls(labels, counts, means, comoments.sum(dim=0) / counts.sum())
        code = {label: number for number, label in enumerate(labels)}
        activations = source.layer(layer).double()
        label_index = torch.tensor([code[label] for label in source.labels])
        counts = torch.bincount(label_index, minlength=len(labels)).double()
        means = torch.zeros(len(labels), activations.shape[1], dtype=torch.float64)
        means = means.index_add_(0, label_index, activations)
        means /= counts[:, None]
        residuals = activations - means[label_index]
        return cls(labels, counts, means, residuals.T @ residuals / len(activations))

    @property
    def n_spans(self) -> float:
        """The number of spans of all labels."""
        return float(self.counts.sum())

    @property
    def mean(self) -> Float[Tensor, " d_model"]:
        """The mean of all spans."""
        return self.counts @ self.means / self.counts.sum()

    @property
    def total(self) -> Float[Tensor, "d_model d_model"]:
        """The covariance of all spans around their common mean."""
        centred_means = self.means - self.mean
        return self.within + (centred_means.T * (self.counts / self.counts.sum())) @ centred_means

    def mean_difference(self, behaviour: str) -> tuple[Float[Tensor, " d_model"], float]:
        """Subtract the mean of all other spans from that of `behaviour`; return it and the behaviour's share."""
        index = self.labels.index(behaviour)
        share = float(self.counts[index] / self.counts.sum())
        mean_of_others = (self.mean - share * self.means[index]) / (1 - share)
        return self.means[index] - mean_of_others, share


def label_residuals(
    activations: Float[Tensor, "n d_model"], label_index: Int[Tensor, " n"]
) -> Float[Tensor, "n d_model"]:
    """Subtract from each activation the mean of its label; float64."""
    exact, counts = activations.double(), torch.bincount(label_index).double()
    sums = torch.zeros(len(counts), activations.shape[1], dtype=torch.float64).index_add_(0, label_index, exact)
    return exact - (sums / counts[:, None])[label_index]
