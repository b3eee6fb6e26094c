"""Compute difference-of-means directions at every layer.

    against "others":   direction[L] = mean(activations[L] of the behaviour) - mean(activations[L] of all other spans)
    against "overall":  direction[L] = mean(activations[L] of the behaviour) - mean over traces of mean(activations[L])

The first is the difference of class means ("mass mean", Marks & Tegmark 2023, arXiv 2310.06824); the second is the
form published for reasoning behaviours (Venhoff et al. 2025, arXiv 2506.18167), which also rescales each direction to
the norm of that overall mean. Sums are taken in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ...activations import Activations, Moments
from ...rundir import InputError
from .._directions import Directions
from .sample import LayerSample, class_means
from .source import Source, choose_behaviours, make_directions

Against = Literal["others", "overall"]


def mean_difference(
    activations: Float[Tensor, "n_examples n_layers d_model"],
    shows_behaviour: Bool[Tensor, " n_examples"],
) -> Float[Tensor, "n_layers d_model"]:
    """Subtract the mean activation without the behaviour from the mean with it, at each layer.

    Args:
        activations: One vector for each example and layer, any float dtype.
        shows_behaviour: Whether the example shows the behaviour.

    Returns:
        The direction at each layer, float32, in the units of `activations` and not normalised; it points towards the
        behaviour.

    Raises:
        InputError: One of the two classes is empty.
    """
    n_positive = int(shows_behaviour.sum())
    if n_positive in (0, len(shows_behaviour)):
        missing = "shows" if n_positive == 0 else "lacks"
        raise InputError(
            f"no example {missing} the behaviour ({len(shows_behaviour)} examples given): "
            "a difference of means needs both classes. Check the label's spelling in the traces."
        )
    positive_mean = activations[shows_behaviour].mean(dim=0, dtype=torch.float64)  # (n_layers, d_model)
    negative_mean = activations[~shows_behaviour].mean(dim=0, dtype=torch.float64)  # (n_layers, d_model)
    return (positive_mean - negative_mean).float()


def mean_difference_directions(
    source: Source,
    *,
    behaviours: Sequence[str] | None = None,
    against: Against = "others",
    rescale: bool = False,
    data_digest: str = "",
    scores: dict[str, dict[str, list[float]]] | None = None,
) -> Directions:
    """Compute the difference-of-means direction of every behaviour at every layer.

    Args:
        source: Activations or their moments; both give the same directions.
        behaviours: The behaviours to find directions for; None means all.
        against: What is subtracted: the mean of all other labelled spans ("others"), or the mean over traces of the
            mean over their text ("overall").
        rescale: Give every direction the norm of the overall mean activation at its layer (the published choice)
            instead of its own.
        data_digest: A digest of the traces, stored with the directions.
        scores: How good each direction is at each layer, stored with the directions.

    Returns:
        The directions, in the units of the residual stream, pointing towards the behaviour.

    Raises:
        InputError: No span shows a behaviour, there is only one label and `against` is "others", or a direction that
            is to be rescaled is zero.
    """
    vectors: dict[str, Tensor] = {}
    for behaviour in choose_behaviours(source, behaviours) if against == "others" else behaviours or source.behaviours:
        if isinstance(source, Moments):
            vector = _from_moments(source, behaviour, against)
        else:
            vector = _from_activations(source, behaviour, against)
        if rescale:
            vector = _with_norm_of_mean(vector, source, behaviour)
        vectors[behaviour] = vector
    method = f"mean difference against {against}{', rescaled to the overall mean norm' if rescale else ''}"
    return make_directions(source, vectors, method, scores=scores, data_digest=data_digest)


def resampled_mean_difference(
    sample: LayerSample,
    weights: Float[Tensor, "n_weightings n_problems"],
    *,
    against: Against = "others",
    rescale: bool = False,
) -> Float[Tensor, "n_weightings n_behaviours d_model"]:
    """Compute the difference of means under many weightings of the problems.

    The overall mean is not resampled: it is taken over far more tokens than the spans have.
    """
    means = class_means(sample.activations, sample, weights)
    if against == "others":
        return means.difference
    return (means.positive - sample.overall_mean) * means.has_both_classes[..., None]


def _with_norm_of_mean(
    vector: Float[Tensor, "n_layers d_model"], source: Source, behaviour: str
) -> Float[Tensor, "n_layers d_model"]:
    """Give a direction the norm of the overall mean at each layer; refuse one that has no length to change."""
    norms, mean_norms = vector.norm(dim=-1), source.overall_mean.norm(dim=-1)
    is_zero = norms <= torch.finfo(torch.float32).eps * mean_norms  # or no more than rounding
    if is_zero.any():
        layer = source.layers[int(is_zero.nonzero()[0])]
        raise InputError(
            f"the direction for {behaviour!r} at layer {layer} is zero, and zero cannot be rescaled: the means that it "
            "is the difference of are the same there. Leave that layer out (--layers), or rescale nothing."
        )
    rescaled: Tensor = vector * (mean_norms / norms)[:, None]
    return rescaled


def _from_activations(activations: Activations, behaviour: str, against: Against) -> Float[Tensor, "n_layers d_model"]:
    shows_behaviour = torch.from_numpy(activations.shows(behaviour))
    layers = (activations.layer(layer)[:, None] for layer in activations.layers)  # one layer in memory at a time
    if against == "others":
        return torch.cat([mean_difference(layer_activations, shows_behaviour) for layer_activations in layers])
    layer_means = [layer_activations[shows_behaviour].mean(dim=0, dtype=torch.float64) for layer_activations in layers]
    return (torch.cat(layer_means) - activations.overall_mean).float()


def _from_moments(moments: Moments, behaviour: str, against: Against) -> Float[Tensor, "n_layers d_model"]:
    baseline = moments.of_others(behaviour).mean if against == "others" else moments.stretches.mean
    return (moments.of_label(behaviour).mean - baseline).float()
