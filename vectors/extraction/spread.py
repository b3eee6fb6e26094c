"""How the spans of one layer lie: mean of each label and covariances, from activations or from moments alike; float64.

With n_l spans of label l at mean m_l, and W the sums of squares around their own label's mean:

    within      W / n                                    what is left when every label's mean is taken away
    total       within + sum_l n_l (m_l - m)(m_l - m)' / n
    apart       mean of a behaviour's spans - mean of all others
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...activations import Moments
from .source import Source


@dataclass(frozen=True, eq=False, slots=True)
class LayerSpread:
    """Of the spans at one layer."""

    labels: tuple[str, ...]
    counts: Float[Tensor, " n_labels"]
    means: Float[Tensor, "n_labels d_model"]
    within: Float[Tensor, "d_model d_model"]

    @classmethod
    def of(cls, source: Source, layer: int) -> LayerSpread:
        """Raises InputError for moments that were collected without covariances."""
        labels = source.behaviours
        if isinstance(source, Moments):
            slot = source.layers.index(layer)
            found = [source.of_label(label) for label in labels]
            counts = torch.tensor([summary.count for summary in found], dtype=torch.float64)
            means = torch.stack([summary.mean[slot] for summary in found])
            for summary in found:
                summary.covariance(0)  # says what is missing
            squares = torch.stack([summary.comoment[slot] for summary in found if summary.comoment is not None])
            return cls(labels, counts, means, squares.sum(dim=0) / counts.sum())
        place = {label: number for number, label in enumerate(labels)}
        acts, number = source.layer(layer).double(), torch.tensor([place[label] for label in source.labels])
        counts = torch.bincount(number, minlength=len(labels)).double()
        means = torch.zeros(len(labels), acts.shape[1], dtype=torch.float64).index_add_(0, number, acts)
        means /= counts[:, None]
        residuals = acts - means[number]
        return cls(labels, counts, means, residuals.T @ residuals / len(acts))

    @property
    def n_spans(self) -> float:
        return float(self.counts.sum())

    @property
    def mean(self) -> Float[Tensor, " d_model"]:
        """Of all spans."""
        return self.counts @ self.means / self.counts.sum()

    @property
    def total(self) -> Float[Tensor, "d_model d_model"]:
        """The covariance of all spans around their common mean."""
        away = self.means - self.mean
        return self.within + (away.T * (self.counts / self.counts.sum())) @ away

    def apart(self, behaviour: str) -> tuple[Float[Tensor, " d_model"], float]:
        """From the mean of all other spans to that of `behaviour`, and the behaviour's share of the spans."""
        here = self.labels.index(behaviour)
        share = float(self.counts[here] / self.counts.sum())
        others = (self.mean - share * self.means[here]) / (1 - share)
        return self.means[here] - others, share


def residuals_of(acts: Float[Tensor, "n d_model"], label: Int[Tensor, " n"]) -> Float[Tensor, "n d_model"]:
    """Each activation without the mean of its label; float64. label: a number for each."""
    exact, counts = acts.double(), torch.bincount(label).double()
    sums = torch.zeros(len(counts), acts.shape[1], dtype=torch.float64).index_add_(0, label, exact)
    return exact - (sums / counts[:, None])[label]
