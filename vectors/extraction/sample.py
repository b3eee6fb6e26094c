"""One layer's spans, to be counted as often as their problems are drawn: what resampling a method needs.

A resample draws problems with replacement; `weights` says how often each problem was drawn, and no activation is
copied. So a mean over a resample is a sum over problems, and a covariance a product with the weighted rows.

    Resampled: (sample, weights) -> a vector for each weighting and behaviour, of any length (only its direction counts)

A weighting in which a behaviour, or all else, does not occur gives a zero vector.
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
    """The spans at one layer, and what they belong to."""

    acts: Float[Tensor, "n d_model"]
    shows: Bool[Tensor, "n_behaviours n"]
    label: Int[Tensor, " n"]
    problem: Int[Tensor, " n"]  # 0 .. n_problems - 1
    trace: Int[Tensor, " n"]
    overall: Float[Tensor, " d_model"]  # the mean over traces of the mean over the whole labelled stretch

    @classmethod
    def of(cls, activations: Activations, behaviours: Sequence[str], layer: int) -> LayerSample:
        traces = [example.trace for example in activations.examples]
        return cls(
            activations.layer(layer),
            torch.from_numpy(np.stack([activations.shows(name) for name in behaviours])),
            numbered(activations.labels),
            numbered(activations.problems),
            numbered(traces),
            activations.overall_mean[activations.layers.index(layer)],
        )

    @property
    def n_problems(self) -> int:
        return int(self.problem.max()) + 1


class Resampled(Protocol):
    """A method under many weightings of the problems at once, with the options that the method itself takes."""

    def __call__(
        self, sample: LayerSample, weights: Float[Tensor, "n_weightings n_problems"], /
    ) -> Float[Tensor, "n_weightings n_behaviours d_model"]: ...


@dataclass(frozen=True, eq=False, slots=True)
class ClassMeans:
    """Of every weighting and behaviour."""

    up: Float[Tensor, "n_weightings n_behaviours d_model"]  # of the behaviour's spans
    down: Float[Tensor, "n_weightings n_behaviours d_model"]  # of all others
    share: Float[Tensor, "n_weightings n_behaviours"]  # of the spans that show the behaviour
    total: Float[Tensor, "n_weightings d_model"]  # of all spans
    n_spans: Float[Tensor, " n_weightings"]

    @property
    def both(self) -> Bool[Tensor, "n_weightings n_behaviours"]:
        """Whether the behaviour and its absence occur."""
        return (self.share > 0) & (self.share < 1)

    @property
    def apart(self) -> Float[Tensor, "n_weightings n_behaviours d_model"]:
        """Zero where one of the two does not occur."""
        return (self.up - self.down) * self.both[..., None]


def class_means(
    rows: Float[Tensor, "n d_model"], sample: LayerSample, weights: Float[Tensor, "n_weightings n_problems"]
) -> ClassMeans:
    """From sums over problems: no row is weighted. rows: the sample's own or others in their place."""
    n_problems, d_model = weights.shape[1], rows.shape[1]

    def summed(which: Bool[Tensor, " n"]) -> tuple[Tensor, Tensor]:
        of_problem = rows.new_zeros(n_problems, d_model).index_add_(0, sample.problem[which], rows[which])
        count = torch.bincount(sample.problem[which], minlength=n_problems).to(weights.dtype)
        return weights @ of_problem, weights @ count  # (weighting, d_model), (weighting,)

    total, n_spans = summed(torch.ones_like(sample.shows[0]))
    ups, counts = zip(*(summed(shows) for shows in sample.shows), strict=True)
    up, count = torch.stack(ups, dim=1), torch.stack(counts, dim=1)
    rest = n_spans[:, None] - count
    return ClassMeans(
        up / count.clamp(min=1)[..., None],
        (total[:, None] - up) / rest.clamp(min=1)[..., None],
        count / n_spans.clamp(min=1)[:, None],
        total / n_spans.clamp(min=1)[:, None],
        n_spans,
    )


def numbered(names: Sequence[str]) -> Int[Tensor, " n"]:
    """A number for each distinct name, in the order of their first occurrence."""
    place = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return torch.tensor([place[name] for name in names])
