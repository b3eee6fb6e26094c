"""Compute effect sizes and principal components of a behaviour from `Moments` alone, without any stored activation.

With means m, covariances S and counts n of the behaviour (+) and of all other spans (-), at each layer:

    within      S_w = ((n+ - 1) S+ + (n- - 1) S-) / (n+ + n- - 2)
    effect      d = (m+ - m-) / sqrt(diag S_w)                     Cohen's d of every dimension
    principal   the leading eigenvectors of S+

Directions from moments: `lda_directions`, `ridge_directions`, `mean_difference_directions`.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ...activations import Moments
from ...rundir import InputError


def effect_sizes(moments: Moments, behaviour: str) -> Float[Tensor, "n_layers d_model"]:
    """Compute Cohen's d of every dimension between the spans of a behaviour and all others.

    The figures are in-sample. For one that holds out of sample, project on a direction found on other problems.

    Args:
        moments: Moments by label.
        behaviour: The label of the behaviour.

    Returns:
        d at each layer and dimension, float64, positive where the behaviour's mean is larger.

    Raises:
        InputError: No span has this label, or there are fewer than three spans.
    """
    positive, negative = moments.of_label(behaviour), moments.of_others(behaviour)
    variance = (positive.m2 + negative.m2) / _degrees_of_freedom(positive.count + negative.count)
    return (positive.mean - negative.mean) / variance.sqrt()


def principal_components(
    moments: Moments, behaviour: str, n_components: int = 1
) -> tuple[Float[Tensor, "n_layers n_components d_model"], Float[Tensor, "n_layers n_components"]]:
    """Compute the directions in which the spans of a behaviour vary most.

    Args:
        moments: Moments by label, collected with covariances.
        behaviour: The label of the behaviour.
        n_components: How many directions are returned for each layer.

    Returns:
        Unit vectors and the variances along them, both float64, largest variance first. The sign of each makes it
        point from the mean of the other spans to that of the behaviour.

    Raises:
        InputError: No span has this label, or covariances were not collected.
    """
    positive = moments.of_label(behaviour)
    values, vectors = torch.linalg.eigh(positive.covariance())
    leading = vectors.flip(-1)[..., :n_components].transpose(1, 2)  # (n_layers, n_components, d_model)
    sign = (leading @ (positive.mean - moments.of_others(behaviour).mean)[..., None]).sign()
    return leading * torch.where(sign == 0, 1.0, sign), values.flip(-1)[:, :n_components]


def _degrees_of_freedom(n_spans: int) -> int:
    if n_spans < 3:
        raise InputError(f"a spread within two classes needs at least three spans, and there are {n_spans}")
    return n_spans - 2
