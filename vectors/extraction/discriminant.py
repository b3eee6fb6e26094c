"""Linear discriminant directions: the mean difference, with what varies anyway within the classes taken down.

    w = ((1 - s) W + s diag W)^-1 (m+ - m-)          W: covariance within the behaviour and within all others

(Fisher 1936; shrunk once standardised, as scikit-learn's LDA does with shrinkage "auto": the residual stream has
dimensions that vary a thousandfold more than others, and a multiple of the identity would drown the others.)

s is chosen for each layer from the spans around the mean of their label, standardised: by Ledoit & Wolf (2004) from
activations, by the oracle approximation (OAS; Chen et al. 2010, arXiv 0907.4698) from moments, which lack the fourth
moments that the former needs.

w is in raw coordinates (a score is w . x of a raw activation): it *reads* the behaviour with least noise. What it
*writes* when added to the residual stream is another question; the mean difference is W w (Haufe et al. 2014).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from sklearn.covariance import ledoit_wolf_shrinkage
from torch import Tensor

from ...activations import Activations
from ...probes.side_by_side import each_layer
from ...rundir import InputError
from ..directions import Directions
from .conjugate import solve_shifted
from .sample import LayerSample, class_means, numbered
from .source import (
    Source,
    as_long_as_apart,
    chosen,
    directions_of,
)
from .spread import LayerSpread, residuals_of


def lda_directions(
    source: Source,
    *,
    behaviours: Sequence[str] | None = None,
    shrinkage: float | None = None,
    progress: bool = False,
) -> Directions:
    """Fisher's direction between every behaviour and all other spans, in raw coordinates, at the length of the
    difference of the class means along it.

    shrinkage: 0 takes the covariance as it is, 1 only its diagonal; None: chosen for each layer, and noted among the
    scores. Raises InputError for moments without covariances, and where the covariance has no inverse.
    """
    if shrinkage is not None and not 0 <= shrinkage <= 1:
        raise InputError(f"shrinkage must lie between 0 and 1, and {shrinkage} does not")
    wanted = chosen(source, behaviours)

    def fit(layer: int) -> tuple[float, list[Tensor]]:
        spread = LayerSpread.of(source, layer)
        share = chosen_shrinkage(source, layer, spread) if shrinkage is None else shrinkage
        return share, [_discriminant(spread, behaviour, share) for behaviour in wanted]

    found = each_layer(fit, source.layers, torch.device("cpu"), progress)
    vectors = {name: torch.stack([rows[place] for _, rows in found]) for place, name in enumerate(wanted)}
    shares = [share for share, _ in found]
    how = "Ledoit-Wolf" if isinstance(source, Activations) else "OAS"
    said = f"{min(shares):.3f} to {max(shares):.3f} by {how}" if shrinkage is None else f"{shrinkage}"
    return directions_of(
        source,
        vectors,
        f"lda, covariance shrunk to its diagonal by {said}; length: class means apart along it",
        scores={name: {"shrinkage": shares} for name in wanted},
    )


def chosen_shrinkage(source: Source, layer: int, spread: LayerSpread) -> float:
    """How much of the covariance is noise, of the spans around the mean of their label, standardised."""
    scale = _scale(spread.within)
    if isinstance(source, Activations):
        residuals = residuals_of(source.layer(layer), numbered(source.labels)) / scale
        return float(ledoit_wolf_shrinkage(residuals.numpy(), assume_centered=True))
    correlation = spread.within / torch.outer(scale, scale)
    d_model = len(correlation)
    square, mean = float(correlation.square().mean()), float(correlation.diagonal().mean())
    above = square + mean**2
    below = (spread.n_spans + 1) * (square - mean**2 / d_model)
    return min(above / below, 1.0) if below > 0 else 1.0


def resampled_lda(
    sample: LayerSample, weights: Float[Tensor, "n_weightings n_problems"], *, shrinkage: float | None = None
) -> Float[Tensor, "n_weightings n_behaviours d_model"]:
    """The same under many weightings of the problems; how much is shrunk is chosen once, from all of them."""
    residuals = residuals_of(sample.acts, sample.label)
    scale = residuals.square().mean(dim=0).sqrt()
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    if shrinkage is None:
        shrinkage = float(ledoit_wolf_shrinkage((residuals / scale).numpy(), assume_centered=True))
    exact = sample.acts.double()
    rows = ((exact - exact.mean(dim=0)) / scale).to(weights.dtype)
    means = class_means(rows, sample, weights)
    of_squares = class_means(rows.square(), sample, weights)
    between = (means.share * (1 - means.share))[..., None] * means.apart.square()
    total = of_squares.total - means.total.square()  # (weighting, d_model)
    diagonal = (total[:, None] - between).clamp(min=0)
    if shrinkage == 1:
        return means.apart / diagonal.clamp(min=1e-12) / scale.to(rows.dtype)
    shift = diagonal * shrinkage / (1 - shrinkage)
    found = solve_shifted(rows, sample.problem, weights, means.apart, shift.expand_as(means.apart))
    return found / scale.to(rows.dtype)


@dataclass(frozen=True, eq=False, slots=True)
class ShrunkTotal:
    """(1 - s) T + s diag W in units of the standard deviations `scale`: w is its solution for m+ - m- in those units.

    T = W + p (1 - p) (m+ - m-)(m+ - m-)', so both have the same solution but for its length (Sherman-Morrison).
    """

    matrix: Float[Tensor, "d_model d_model"]
    apart: Float[Tensor, " d_model"]
    scale: Float[Tensor, " d_model"]

    @classmethod
    def of(cls, spread: LayerSpread, behaviour: str, shrinkage: float) -> ShrunkTotal:
        apart, share = spread.apart(behaviour)
        total, scale = spread.total, _scale(spread.within)
        diagonal = (total.diagonal() - share * (1 - share) * apart.square()).clamp(min=0) / scale.square()
        matrix = (1 - shrinkage) * total / torch.outer(scale, scale)
        matrix.diagonal().add_(shrinkage * diagonal)
        constant = matrix.diagonal() <= 0  # a dimension that never varies tells nothing
        matrix.diagonal()[constant] = 1.0
        return cls(matrix, apart / scale, scale)


def _discriminant(spread: LayerSpread, behaviour: str, shrinkage: float) -> Float[Tensor, " d_model"]:
    shrunk = ShrunkTotal.of(spread, behaviour, shrinkage)
    factor, failed = torch.linalg.cholesky_ex(shrunk.matrix)
    d_model = len(shrunk.apart)
    if failed or (shrinkage == 0 and spread.n_spans - 2 < d_model):
        raise InputError(
            f"the covariance of {spread.n_spans:.0f} spans in {d_model} dimensions has no inverse at shrinkage "
            f"{shrinkage}; give it some (0.1) or more spans"
        )
    weight = torch.cholesky_solve(shrunk.apart[:, None], factor)[:, 0] / shrunk.scale
    return as_long_as_apart(weight, spread.apart(behaviour)[0])


def _scale(covariance: Float[Tensor, "d_model d_model"]) -> Float[Tensor, " d_model"]:
    deviation = covariance.diagonal().clamp(min=0).sqrt()
    return torch.where(deviation > 0, deviation, torch.ones_like(deviation))
