"""Difference of class means as a direction, for every layer at once.

    against "others":   direction[L] = mean(acts[L] of the behaviour) - mean(acts[L] of all other labelled spans)
    against "overall":  direction[L] = mean(acts[L] of the behaviour) - mean over traces of mean(acts[L] of its text)

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
from ..directions import Directions
from .sample import LayerSample, class_means
from .source import Source, chosen, directions_of

Against = Literal["others", "overall"]


def mean_difference(
    acts: Float[Tensor, "n_examples n_layers d_model"],
    shows_behaviour: Bool[Tensor, " n_examples"],
) -> Float[Tensor, "n_layers d_model"]:
    """From the mean of ordinary to the mean of behaviour-showing activations, per layer; unnormalised, float32.

    Raises InputError when either class is empty.
    """
    n_positive = int(shows_behaviour.sum())
    if n_positive in (0, len(shows_behaviour)):
        missing = "shows" if n_positive == 0 else "lacks"
        raise InputError(
            f"no example {missing} the behaviour ({len(shows_behaviour)} examples given): "
            "a difference of means needs both classes. Check the label's spelling in the traces."
        )
    positive = acts[shows_behaviour].mean(dim=0, dtype=torch.float64)  # (n_layers, d_model)
    negative = acts[~shows_behaviour].mean(dim=0, dtype=torch.float64)  # (n_layers, d_model)
    return (positive - negative).float()


def mean_difference_directions(
    source: Source,
    *,
    behaviours: Sequence[str] | None = None,
    against: Against = "others",
    rescale: bool = False,
    data_digest: str = "",
    scores: dict[str, dict[str, list[float]]] | None = None,
) -> Directions:
    """The direction of every behaviour in `source`, pointing towards it; activations and their moments give the same.

    behaviours: those wanted; None: all. rescale: give every direction the norm of the overall mean activation at its
    layer (the published choice) instead of its own. data_digest, scores: what to note in the file of where the
    directions come from and how good they are. Raises InputError when only one behaviour is labelled and `against` is
    "others".
    """
    vectors: dict[str, Tensor] = {}
    for behaviour in chosen(source, behaviours) if against == "others" else behaviours or source.behaviours:
        if isinstance(source, Moments):
            vector = _of_moments(source, behaviour, against)
        else:
            vector = _of_activations(source, behaviour, against)
        if rescale:
            vector = vector * (source.overall_mean.norm(dim=-1) / vector.norm(dim=-1))[:, None]
        vectors[behaviour] = vector
    method = f"mean difference against {against}{', rescaled to the overall mean norm' if rescale else ''}"
    return directions_of(source, vectors, method, scores=scores, data_digest=data_digest)


def _of_activations(activations: Activations, behaviour: str, against: Against) -> Float[Tensor, "n_layers d_model"]:
    shows = torch.from_numpy(activations.shows(behaviour))
    layers = (activations.layer(layer)[:, None] for layer in activations.layers)  # one in memory at a time
    if against == "others":
        return torch.cat([mean_difference(acts, shows) for acts in layers])
    means = torch.cat([acts[shows].mean(dim=0, dtype=torch.float64) for acts in layers])
    return (means - activations.overall_mean).float()


def _of_moments(moments: Moments, behaviour: str, against: Against) -> Float[Tensor, "n_layers d_model"]:
    other = moments.of_others(behaviour).mean if against == "others" else moments.stretches.mean
    return (moments.of_label(behaviour).mean - other).float()


def resampled_mean_difference(
    sample: LayerSample,
    weights: Float[Tensor, "n_weightings n_problems"],
    *,
    against: Against = "others",
    rescale: bool = False,
) -> Float[Tensor, "n_weightings n_behaviours d_model"]:
    """The same under many weightings of the problems. The overall mean, of far more tokens, is held as it is."""
    means = class_means(sample.acts, sample, weights)
    if against == "others":
        return means.apart
    return (means.up - sample.overall) * means.both[..., None]
