"""What second moments tell of a behaviour, from `Moments` alone: no activation has to be kept.

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
    """Cohen's d of every dimension between the spans of `behaviour` and all others; float64, positive towards it.

    In sample: for a figure that holds out of sample, project on a direction found on other problems.
    """
    shown, others = moments.of_label(behaviour), moments.of_others(behaviour)
    variance = (shown.m2 + others.m2) / _degrees(shown.count + others.count)
    return (shown.mean - others.mean) / variance.sqrt()


def principal_components(
    moments: Moments, behaviour: str, n_components: int = 1
) -> tuple[Float[Tensor, "n_layers n_components d_model"], Float[Tensor, "n_layers n_components"]]:
    """The unit directions in which the spans of `behaviour` vary most, and their variances, largest first; float64.

    The sign of each is such that it points from the other spans to those of the behaviour. Raises InputError when
    covariances were not collected.
    """
    shown = moments.of_label(behaviour)
    values, vectors = torch.linalg.eigh(shown.covariance())
    leading = vectors.flip(-1)[..., :n_components].transpose(1, 2)  # (n_layers, n_components, d_model)
    towards = (leading @ (shown.mean - moments.of_others(behaviour).mean)[..., None]).sign()
    return leading * torch.where(towards == 0, 1.0, towards), values.flip(-1)[:, :n_components]


def _degrees(count: int) -> int:
    if count < 3:
        raise InputError(f"a spread within two classes needs at least three spans, and there are {count}")
    return count - 2
