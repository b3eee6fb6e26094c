"""What second moments tell of a behaviour, from `Moments` alone: no activation has to be kept.

With means m, covariances S and counts n of the behaviour (+) and of all other spans (-), at each layer:

    within      S_w = ((n+ - 1) S+ + (n- - 1) S-) / (n+ + n- - 2)
    effect      d = (m+ - m-) / sqrt(diag S_w)                     Cohen's d of every dimension
    lda         w = ((1 - s) S_w + s (tr S_w / d_model) I)^-1 (m+ - m-)     Fisher's direction, covariance shrunk by s
    principal   the leading eigenvectors of S+
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ...activations import Moments
from ...models import InputError


def effect_sizes(moments: Moments, behaviour: str) -> Float[Tensor, "n_layers d_model"]:
    """Cohen's d of every dimension between the spans of `behaviour` and all others; float64, positive towards it.

    In sample: for a figure that holds out of sample, project on a direction found on other problems.
    """
    shown, others = moments.of_label(behaviour), moments.of_others(behaviour)
    variance = (shown.m2 + others.m2) / _degrees(shown.count + others.count)
    return (shown.mean - others.mean) / variance.sqrt()


def lda_directions(moments: Moments, behaviour: str, *, shrinkage: float = 0.1) -> Float[Tensor, "n_layers d_model"]:
    """Fisher's linear discriminant between `behaviour` and all other spans at each layer; float64, unnormalised.

    shrinkage: 0 takes the covariance as it is, 1 only its trace. Raises InputError when covariances were not collected,
    or when they have no inverse.
    """
    if not 0 <= shrinkage <= 1:
        raise InputError(f"shrinkage must lie between 0 and 1, and {shrinkage} does not")
    shown, others = moments.of_label(behaviour), moments.of_others(behaviour)
    within = shown.covariance(0) * shown.count + others.covariance(0) * others.count
    within = within / _degrees(shown.count + others.count)
    d_model = within.shape[-1]
    scale = within.diagonal(dim1=1, dim2=2).sum(-1) / d_model
    identity = torch.eye(d_model, dtype=within.dtype)
    shrunk = (1 - shrinkage) * within + shrinkage * scale[:, None, None] * identity
    factor, failed = torch.linalg.cholesky_ex(shrunk)
    n_spans = shown.count + others.count
    if failed.any() or (shrinkage == 0 and n_spans - 2 < d_model):
        raise InputError(
            f"the covariance of {n_spans} spans in {d_model} dimensions has no inverse at shrinkage {shrinkage}; "
            "give it some (0.1) or more spans"
        )
    return torch.cholesky_solve((shown.mean - others.mean)[..., None], factor).squeeze(-1)


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
