"""Compute linear discriminant directions: the mean difference, scaled down where the classes vary anyway.

    w = ((1 - s) W + s diag W)^-1 (m+ - m-)          W: covariance within the behaviour and within all others

(Fisher 1936; the covariance is standardised before it is shrunk, as scikit-learn's LDA does with shrinkage "auto",
because some dimensions of the residual stream vary a thousandfold more than others.) The shrinkage s is chosen for each
layer from the standardised residuals around the label means: by Ledoit & Wolf (2004) from activations, by the oracle
approximation (OAS; Chen et al. 2010, arXiv 0907.4698) from moments, which hold no fourth moments.

A score w . x of a raw activation *reads* the behaviour with least noise. What w *writes* when added to the residual
stream is another question; the corresponding pattern is W w, the mean difference (Haufe et al. 2014).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from sklearn.covariance import ledoit_wolf_shrinkage
from torch import Tensor

from ...activations import Activations
from ...probes.single_threads import map_layers
from ...rundir import InputError
from .._directions import Directions
from .conjugate import solve_shifted
from .covariance import LayerCovariance, label_residuals
from .sample import LayerSample, class_means, integer_codes
from .source import (
    Source,
    choose_behaviours,
    make_directions,
    rescale_to_mean_difference,
)


def lda_directions(
    source: Source,
    *,
    behaviours: Sequence[str] | None = None,
    shrinkage: float | None = None,
    progress: bool = False,
) -> Directions:
    """Compute Fisher's direction between every behaviour and all other spans, at every layer.

    Args:
        source: Activations, or moments with covariances.
        behaviours: The behaviours to find directions for; None means all.
        shrinkage: 0 takes the covariance as it is, 1 only its diagonal. None chooses a value for each layer and
            stores it among the scores.
        progress: Show a progress bar over layers.

    Returns:
        The directions in raw coordinates, pointing towards the behaviour; their length is the difference of the class
        means along them, in the units of the residual stream.

    Raises:
        InputError: No span shows a behaviour, moments lack covariances, `shrinkage` lies outside 0 to 1, or the
            covariance has no inverse.
    """
    if shrinkage is not None and not 0 <= shrinkage <= 1:
        raise InputError(f"shrinkage must lie between 0 and 1, and {shrinkage} does not")
    names = choose_behaviours(source, behaviours)

    def fit(layer: int) -> tuple[float, list[Tensor]]:
        covariance = LayerCovariance.of(source, layer)
        layer_shrinkage = choose_shrinkage(source, layer, covariance) if shrinkage is None else shrinkage
        return layer_shrinkage, [_discriminant(covariance, behaviour, layer_shrinkage) for behaviour in names]

    fits = map_layers(fit, source.layers, torch.device("cpu"), progress)
    vectors = {name: torch.stack([rows[index] for _, rows in fits]) for index, name in enumerate(names)}
    shrinkages = [layer_shrinkage for layer_shrinkage, _ in fits]
    estimator = "Ledoit-Wolf" if isinstance(source, Activations) else "OAS"
    amount = f"{min(shrinkages):.3f} to {max(shrinkages):.3f} by {estimator}" if shrinkage is None else f"{shrinkage}"
    return make_directions(
        source,
        vectors,
        f"lda, covariance shrunk to its diagonal by {amount}; length: class means apart along it",
        scores={name: {"shrinkage": shrinkages} for name in names},
    )


def choose_shrinkage(source: Source, layer: int, covariance: LayerCovariance) -> float:
    """Estimate the best shrinkage of the standardised covariance around the label means, between 0 and 1."""
    scale = _standard_deviations(covariance.within)
    if isinstance(source, Activations):
        residuals = label_residuals(source.layer(layer), integer_codes(source.labels)) / scale
        return float(ledoit_wolf_shrinkage(residuals.numpy(), assume_centered=True))
    correlation = covariance.within / torch.outer(scale, scale)
    d_model = len(correlation)
    mean_square, mean_variance = float(correlation.square().mean()), float(correlation.diagonal().mean())
    numerator = mean_square + mean_variance**2
    denominator = (covariance.n_spans + 1) * (mean_square - mean_variance**2 / d_model)
    return min(numerator / denominator, 1.0) if denominator > 0 else 1.0


def resampled_lda(
    sample: LayerSample, weights: Float[Tensor, "n_weightings n_problems"], *, shrinkage: float | None = None
) -> Float[Tensor, "n_weightings n_behaviours d_model"]:
    """Compute the same under many weightings of the problems; the shrinkage is chosen once, from all of them."""
    residuals = label_residuals(sample.activations, sample.label_index)
    scale = residuals.square().mean(dim=0).sqrt()
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    if shrinkage is None:
        shrinkage = float(ledoit_wolf_shrinkage((residuals / scale).numpy(), assume_centered=True))
    exact = sample.activations.double()
    rows = ((exact - exact.mean(dim=0)) / scale).to(weights.dtype)
    means = class_means(rows, sample, weights)
    mean_squares = class_means(rows.square(), sample, weights)
    between = (means.positive_share * (1 - means.positive_share))[..., None] * means.difference.square()
    total = mean_squares.overall - means.overall.square()  # (n_weightings, d_model)
    diagonal = (total[:, None] - between).clamp(min=0)
    if shrinkage == 1:
        return means.difference / diagonal.clamp(min=1e-12) / scale.to(rows.dtype)
    shift = diagonal * shrinkage / (1 - shrinkage)
    solutions = solve_shifted(rows, sample.problem_index, weights, means.difference, shift.expand_as(means.difference))
    return solutions / scale.to(rows.dtype)


@dataclass(frozen=True, eq=False, slots=True)
class ShrunkTotal:
    """The matrix (1 - s) T + s diag W in units of the standard deviations `scale`.

    T = W + p (1 - p) (m+ - m-)(m+ - m-)', so that solving it for m+ - m- gives Fisher's w except for its length
    (Sherman-Morrison).
    """

    matrix: Float[Tensor, "d_model d_model"]
    mean_difference: Float[Tensor, " d_model"]
    scale: Float[Tensor, " d_model"]

    @classmethod
    def of(cls, covariance: LayerCovariance, behaviour: str, shrinkage: float) -> ShrunkTotal:
        """Shrink the covariance between one behaviour and all other spans."""
        mean_difference, share = covariance.mean_difference(behaviour)
        total, scale = covariance.total, _standard_deviations(covariance.within)
        within_diagonal = (total.diagonal() - share * (1 - share) * mean_difference.square()).clamp(min=0)
        diagonal = within_diagonal / scale.square()
        matrix = (1 - shrinkage) * total / torch.outer(scale, scale)
        matrix.diagonal().add_(shrinkage * diagonal)
        is_constant = matrix.diagonal() <= 0  # a dimension that never varies carries no information
        matrix.diagonal()[is_constant] = 1.0
        return cls(matrix, mean_difference / scale, scale)


def _discriminant(covariance: LayerCovariance, behaviour: str, shrinkage: float) -> Float[Tensor, " d_model"]:
    shrunk = ShrunkTotal.of(covariance, behaviour, shrinkage)
    factor, failed = torch.linalg.cholesky_ex(shrunk.matrix)
    d_model = len(shrunk.mean_difference)
    if failed or (shrinkage == 0 and covariance.n_spans - 2 < d_model):
        raise InputError(
            f"the covariance of {covariance.n_spans:.0f} spans in {d_model} dimensions has no inverse at shrinkage "
            f"{shrinkage}; give it some (0.1) or more spans"
        )
    weight = torch.cholesky_solve(shrunk.mean_difference[:, None], factor)[:, 0] / shrunk.scale
    return rescale_to_mean_difference(weight, covariance.mean_difference(behaviour)[0])


def _standard_deviations(covariance: Float[Tensor, "d_model d_model"]) -> Float[Tensor, " d_model"]:
    """Return the standard deviation of each dimension, and 1 for one that never varies."""
    deviation = covariance.diagonal().clamp(min=0).sqrt()
    return torch.where(deviation > 0, deviation, torch.ones_like(deviation))
