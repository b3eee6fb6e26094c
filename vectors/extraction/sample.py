"""Hold one layer's spans so that they can be counted as often as their problems are drawn.

A resample draws problems with replacement; `weights` says how often each problem was drawn, and no activation is
copied. A mean over a resample is then a sum over problems, and a covariance a product with the weighted rows.

    ResampledMethod: (sample, weights) -> a vector for each weighting and behaviour; only its direction counts

A weighting in which no span shows the behaviour, or every span does, gives a zero vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...activations import Activations


@dataclass(frozen=True, eq=False, slots=True)
class LayerSample:
    """The spans at one layer, with the label, problem and trace of each."""

    activations: Float[Tensor, "n d_model"]
    shows_behaviour: Bool[Tensor, "n_behaviours n"]
    label_index: Int[Tensor, " n"]
    problem_index: Int[Tensor, " n"]  # 0 .. n_problems - 1
    trace_index: Int[Tensor, " n"]
    overall_mean: Float[Tensor, " d_model"]  # the mean over traces of the mean over the whole labelled stretch

    @classmethod
    def of(cls, activations: Activations, behaviours: Sequence[str], layer: int) -> LayerSample:
        """Take the spans of `activations` at `layer`."""
        traces = [example.trace for example in activations.examples]
        return cls(
            activations.layer(layer),
            torch.from_numpy(np.stack([activations.shows(name) for name in behaviours])),
            integer_codes(activations.labels),
            integer_codes(activations.problems),
            integer_codes(traces),
            activations.overall_mean[activations.layers.index(layer)],
        )

    @property
    def n_problems(self) -> int:
        """The number of problems that the spans belong to."""
        return int(self.problem_index.max()) + 1


class ResampledMethod(Protocol):
    """A method under many weightings of the problems at once, with the options that the method itself takes."""

    def __call__(
        self, sample: LayerSample, weights: Float[Tensor, "n_weightings n_problems"], /
    ) -> Float[Tensor, "n_weightings n_behaviours d_model"]: ...


@dataclass(frozen=True, eq=False, slots=True)
class ClassMeans:
    """The class means of every weighting and behaviour."""

    positive: Float[Tensor, "n_weightings n_behaviours d_model"]  # mean of the spans that show the behaviour
    negative: Float[Tensor, "n_weightings n_behaviours d_model"]  # mean of all other spans
    positive_share: Float[Tensor, "n_weightings n_behaviours"]  # share of the spans that show the behaviour
    overall: Float[Tensor, "n_weightings d_model"]  # mean of all spans
    n_spans: Float[Tensor, " n_weightings"]

    @property
    def has_both_classes(self) -> Bool[Tensor, "n_weightings n_behaviours"]:
        """Whether some spans show the behaviour and some do not."""
        return (self.positive_share > 0) & (self.positive_share < 1)

    @property
    def difference(self) -> Float[Tensor, "n_weightings n_behaviours d_model"]:
        """Positive minus negative mean; zero where one of the classes is empty."""
        return (self.positive - self.negative) * self.has_both_classes[..., None]


def class_means(
    rows: Float[Tensor, "n d_model"], sample: LayerSample, weights: Float[Tensor, "n_weightings n_problems"]
) -> ClassMeans:
    """Compute class means from sums over problems, so that no row is multiplied by its weight.

    Args:
        rows: The sample's activations, or values derived from them row by row.
        sample: Says which rows show which behaviour and belong to which problem.
        weights: How often each problem counts.

    Returns:
        The means of `rows`.
    """
    n_problems, d_model = weights.shape[1], rows.shape[1]

    def weighted_sum(is_member: Bool[Tensor, " n"]) -> tuple[Tensor, Tensor]:
        members = sample.problem_index[is_member]
        problem_sums = rows.new_zeros(n_problems, d_model).index_add_(0, members, rows[is_member])
        count = torch.bincount(members, minlength=n_problems).to(weights.dtype)
        return weights @ problem_sums, weights @ count  # (n_weightings, d_model), (n_weightings,)

    overall_sum, n_spans = weighted_sum(torch.ones_like(sample.shows_behaviour[0]))
    sums, counts = zip(*(weighted_sum(is_member) for is_member in sample.shows_behaviour), strict=True)
    positive_sum, n_positive = torch.stack(sums, dim=1), torch.stack(counts, dim=1)
    n_negative = n_spans[:, None] - n_positive
    return ClassMeans(
        positive_sum / n_positive.clamp(min=1)[..., None],
        (overall_sum[:, None] - positive_sum) / n_negative.clamp(min=1)[..., None],
        n_positive / n_spans.clamp(min=1)[:, None],
        overall_sum / n_spans.clamp(min=1)[:, None],
        n_spans,
    )


def integer_codes(names: Sequence[str]) -> Int[Tensor, " n"]:
    """Replace each name by a number; equal names get the same one, counted in the order of first occurrence."""
    code = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return torch.tensor([code[name] for name in names])
