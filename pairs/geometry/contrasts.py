"""Compute the directions of both models at one layer: of all problems, of resampled ones, and of shuffled labels.

    direction = mean of the spans that show the behaviour - mean of all others

A shuffle deals the labels of each problem out anew among its spans, in the same way in both models. What two such
directions have in common is what any contrast of the same spans has in common: how alike the models are, whatever the
behaviour.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ...rundir import brief
from ...stats import bootstrap_counts
from ...vectors.extraction.bootstrap import shuffle_labels
from ...vectors.extraction.sample import LayerSample, class_means
from .texts import PairActivations

Vectors = Float[Tensor, "n n_behaviours d_model"]


@dataclass(frozen=True, eq=False, kw_only=True)
class LayerContrasts:
    """Directions at one layer of each model; first those of all problems, then one set for each resample."""

    base: Vectors
    thinking: Vectors
    base_shuffled: Vectors  # one set for each shuffle
    thinking_shuffled: Vectors

    __repr__ = brief


def layer_contrasts(
    activations: PairActivations, layers: tuple[int, int], *, n_resamples: int, n_shuffles: int, seed: int
) -> LayerContrasts:
    """Compute all directions at one layer of each model.

    Args:
        activations: Of both models.
        layers: The block of the base, and that of the thinking model.
        n_resamples: Resamples of the problems, the same for both models and for all layers.
        n_shuffles: Shuffles of the labels, likewise.
        seed: Of both.

    Returns:
        The directions, float64; one of zeros where a resample holds no span of a behaviour, or no other one.
    """
    counts = bootstrap_counts(activations.n_problems, n_resamples, seed)
    weights = torch.from_numpy(np.concatenate([np.ones((1, activations.n_problems)), counts]))
    draws = np.random.default_rng([seed, 1993]).integers(2**31, size=n_shuffles).tolist()
    vectors, shuffled = [], []
    for of_model, layer in zip((activations.base, activations.thinking), layers, strict=True):
        sample = LayerSample.of(of_model, activations.behaviours, layer)
        vectors.append(_differences(sample, weights))
        shuffled.append(torch.cat([_differences(shuffle_labels(sample, draw), weights[:1]) for draw in draws]))
    return LayerContrasts(
        base=vectors[0], thinking=vectors[1], base_shuffled=shuffled[0], thinking_shuffled=shuffled[1]
    )


def _differences(sample: LayerSample, weights: Float[Tensor, "n n_problems"]) -> Vectors:
    return class_means(sample.activations.double(), sample, weights).difference
