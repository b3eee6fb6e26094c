"""Use the weights of linear probes as directions: logistic or ridge regression of a behaviour against all other spans.

Probes are fitted on standardised activations and their weights converted to raw coordinates, as in `probes`, so that a
score is w . x of a raw activation. The length is set to the difference of the class means along w, in the units of the
residual stream; a probe's own scale is that of its log odds, which grows as the penalty falls.

Ridge needs second moments only. With T the covariance of all n spans, D its standard deviations and p the class share:

    w = D^-1 (n D^-1 T D^-1 + a I)^-1 2 n p (1 - p) D^-1 (m+ - m-)

A probe that reads a behaviour perfectly can steer worse than a mean difference: it uses whatever separates the classes
and avoids dimensions that vary (see `discriminant.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ...activations import Activations, Moments
from ...probes.single_threads import map_layers
from ...probes.solver import (
    Columns,
    Design,
    solve_logistic,
    solve_ridge,
)
from ...probes.solver.methods import Solver
from ...rundir import InputError
from .._directions import Directions
from .conjugate import solve_shifted
from .covariance import LayerCovariance
from .sample import LayerSample, class_means
from .source import (
    Source,
    choose_behaviours,
    make_directions,
    require_activations,
    rescale_to_mean_difference,
    solving,
)

C, ALPHA = 0.01, 1000.0  # strong penalties, since there are only hundreds of spans in as many dimensions
RESAMPLED_TOLERANCE = 1e-2  # enough for cosines
MAX_COLUMN_NUMBERS = 2**25  # numbers in one batch of columns


def logistic_directions(
    source: Source, *, behaviours: Sequence[str] | None = None, C: float = C, progress: bool = False
) -> Directions:
    """Fit an L2-penalised logistic regression for every behaviour and layer, and return its weights as directions.

    Args:
        source: Activations; moments are not enough.
        behaviours: The behaviours to find directions for; None means all.
        C: The inverse strength of the penalty, above 0.
        progress: Show a progress bar over layers.

    Returns:
        The directions in raw coordinates, pointing towards the behaviour; their length is the difference of the class
        means along them, in the units of the residual stream.

    Raises:
        InputError: `source` holds moments, no span shows a behaviour, or `C` is not above 0.
    """
    if not C > 0:
        raise InputError(f"C must be above 0, and {C} is not")
    activations = require_activations(source, "logistic regression")
    vectors = _fit_probes(activations, choose_behaviours(source, behaviours), solve_logistic, C, progress)
    return make_directions(source, vectors, f"logistic regression, C {C:g}; length: class means apart along it")


def ridge_directions(
    source: Source, *, behaviours: Sequence[str] | None = None, alpha: float = ALPHA, progress: bool = False
) -> Directions:
    """Fit a ridge regression on labels 1 and -1 for every behaviour and layer, and return its weights as directions.

    Args:
        source: Activations, or moments with covariances; both give the same directions.
        behaviours: The behaviours to find directions for; None means all.
        alpha: The strength of the penalty, not below 0.
        progress: Show a progress bar over layers.

    Returns:
        The directions in raw coordinates, pointing towards the behaviour; their length is the difference of the class
        means along them, in the units of the residual stream.

    Raises:
        InputError: Moments lack covariances, no span shows a behaviour, or `alpha` is below 0.
    """
    if not alpha >= 0:
        raise InputError(f"alpha must not be below 0, and {alpha} is")
    names = choose_behaviours(source, behaviours)
    if isinstance(source, Moments):
        covariances = [LayerCovariance.of(source, layer) for layer in source.layers]
        vectors = {
            name: torch.stack([_ridge_weights(covariance, name, alpha) for covariance in covariances]) for name in names
        }
    else:
        vectors = _fit_probes(source, names, solve_ridge, alpha, progress)
    return make_directions(source, vectors, f"ridge regression, alpha {alpha:g}; length: class means apart along it")


def resampled_logistic(
    sample: LayerSample, weights: Float[Tensor, "n_weightings n_problems"], *, C: float = C
) -> Float[Tensor, "n_weightings n_behaviours d_model"]:
    """Fit the same under many weightings of the problems: each is a column whose rows count as often as their problem.

    Activations are standardised once, over all spans.
    """
    design, n_behaviours = single_training_set(sample.activations.to(weights.dtype)), len(sample.shows_behaviour)
    counts = weights[:, sample.problem_index].repeat_interleave(n_behaviours, dim=0)
    shows_behaviour = sample.shows_behaviour.repeat(len(weights), 1)
    directions = []
    step = max(n_behaviours, MAX_COLUMN_NUMBERS // len(sample.activations))
    for first in range(0, len(counts), step):
        part = slice(first, first + step)
        n_columns = len(counts[part])
        columns = _WeightedColumns(
            shows_behaviour[part],
            torch.zeros(n_columns, dtype=torch.long),
            torch.full((n_columns,), C),
            counts=counts[part],
        )
        directions.append(solve_logistic(design, columns, RESAMPLED_TOLERANCE).raw(design)[0])
    return torch.cat(directions).view(len(weights), n_behaviours, -1).to(weights.dtype)


def resampled_ridge(
    sample: LayerSample, weights: Float[Tensor, "n_weightings n_problems"], *, alpha: float = ALPHA
) -> Float[Tensor, "n_weightings n_behaviours d_model"]:
    """Fit the same under many weightings of the problems. Activations are standardised once, over all spans."""
    design = single_training_set(sample.activations.to(weights.dtype))
    means = class_means(design.rows, sample, weights)
    shift = (max(alpha, 1e-6) / means.n_spans.clamp(min=1))[:, None, None].expand_as(means.difference)
    solutions = solve_shifted(design.rows, sample.problem_index, weights, means.difference, shift)
    return solutions / design.spread.to(solutions.dtype)


def single_training_set(activations: Float[Tensor, "n d_model"]) -> Design:
    """Make a design in which all rows are one training set."""
    return Design.of(
        activations,
        np.zeros(len(activations), dtype=np.int64),
        np.ones((1, 1), dtype=bool),
        dtype=activations.dtype,
    )


@dataclass(frozen=True, eq=False)
class _WeightedColumns(Columns):
    """Columns whose rows count as often as `counts` says."""

    counts: Float[Tensor, "n_columns n"] = field(kw_only=True)

    def weights(self, design: Design) -> Float[Tensor, "n_columns n"]:
        return self.counts.to(design.rows.dtype)


def _fit_probes(
    activations: Activations, behaviours: tuple[str, ...], solve: Solver, penalty: float, progress: bool
) -> dict[str, Float[Tensor, "n_layers d_model"]]:
    shows_behaviour = torch.from_numpy(np.stack([activations.shows(name) for name in behaviours]))  # (behaviour, n)

    def fit(layer: int) -> Float[Tensor, "n_behaviours d_model"]:
        layer_activations = activations.layer(layer)
        design = single_training_set(layer_activations)
        columns = Columns(
            shows_behaviour,
            torch.zeros(len(behaviours), dtype=torch.long),
            torch.full((len(behaviours),), penalty),
        )
        with solving("a probe", layer):
            weight, _ = solve(design, columns).raw(design)
        is_positive, is_negative = shows_behaviour.double(), (~shows_behaviour).double()
        exact = layer_activations.double()
        positive_mean = is_positive @ exact / is_positive.sum(dim=1, keepdim=True)
        negative_mean = is_negative @ exact / is_negative.sum(dim=1, keepdim=True)
        return rescale_to_mean_difference(weight, positive_mean - negative_mean)

    directions = torch.stack(map_layers(fit, activations.layers, torch.device("cpu"), progress), dim=1)
    return dict(zip(behaviours, directions, strict=True))


def _ridge_weights(covariance: LayerCovariance, behaviour: str, alpha: float) -> Float[Tensor, " d_model"]:
    mean_difference, _ = covariance.mean_difference(behaviour)
    total = covariance.total
    scale = total.diagonal().clamp(min=0).sqrt()
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    matrix = covariance.n_spans * total / torch.outer(scale, scale)
    matrix.diagonal().add_(alpha if alpha > 0 else 1e-9 * covariance.n_spans)
    weight = torch.linalg.solve(matrix, mean_difference / scale) / scale
    return rescale_to_mean_difference(weight, mean_difference)
