"""The weights of linear probes as directions: logistic and ridge regression of a behaviour against all other spans.

Both are fitted on standardised activations and their weights brought back to raw coordinates, as `probes` does, so that
a score is w . x of a raw activation; all behaviours of a layer are columns of one product. The length is that of the
difference of the class means along w, in the units of the residual stream: a probe's own scale is that of its log odds,
which grows as the penalty falls.

Ridge needs second moments only, with T the covariance of all spans, D its standard deviations and p the class's share:

    w = D^-1 (n D^-1 T D^-1 + a I)^-1 2 n p (1 - p) D^-1 (m+ - m-)

A probe that reads a behaviour perfectly can steer worse than a mean difference: it takes whatever tells the classes
apart and leaves out what varies (see `discriminant.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ...activations import Activations, Moments
from ...probes.side_by_side import each_layer
from ...probes.solver import (
    Columns,
    Design,
    solve_logistic,
    solve_ridge,
)
from ...probes.solver.methods import Solver
from ...rundir import InputError
from ..directions import Directions
from .conjugate import solve_shifted
from .sample import LayerSample, class_means
from .source import (
    Source,
    as_long_as_apart,
    chosen,
    directions_of,
    need_activations,
)
from .spread import LayerSpread

C, ALPHA = 0.01, 1000.0  # with hundreds of spans and as many dimensions a strong penalty is right
RESAMPLED_TOLERANCE = 1e-2  # cosines need no more
MOST_COLUMNS = 2**25  # numbers in one batch of columns


def logistic_directions(
    source: Source, *, behaviours: Sequence[str] | None = None, C: float = C, progress: bool = False
) -> Directions:
    """Weights of an L2-penalised logistic regression for every behaviour, in raw coordinates.

    C: inverse strength of the penalty. Raises InputError for moments.
    """
    if not C > 0:
        raise InputError(f"C must be above 0, and {C} is not")
    activations = need_activations(source, "logistic regression")
    vectors = _solved(activations, chosen(source, behaviours), solve_logistic, C, progress)
    return directions_of(source, vectors, f"logistic regression, C {C:g}; length: class means apart along it")


def ridge_directions(
    source: Source, *, behaviours: Sequence[str] | None = None, alpha: float = ALPHA, progress: bool = False
) -> Directions:
    """Weights of a ridge regression on labels 1 and -1 for every behaviour, in raw coordinates.

    Activations and moments with covariances give the same. Raises InputError for moments without them.
    """
    if not alpha >= 0:
        raise InputError(f"alpha must not be below 0, and {alpha} is")
    wanted = chosen(source, behaviours)
    if isinstance(source, Moments):
        spreads = [LayerSpread.of(source, layer) for layer in source.layers]
        vectors = {name: torch.stack([_ridge(spread, name, alpha) for spread in spreads]) for name in wanted}
    else:
        vectors = _solved(source, wanted, solve_ridge, alpha, progress)
    return directions_of(source, vectors, f"ridge regression, alpha {alpha:g}; length: class means apart along it")


def _solved(
    activations: Activations, wanted: tuple[str, ...], solve: Solver, penalty: float, progress: bool
) -> dict[str, Float[Tensor, "n_layers d_model"]]:
    shows = torch.from_numpy(np.stack([activations.shows(name) for name in wanted]))  # (behaviour, example)

    def fit(layer: int) -> Float[Tensor, "n_behaviours d_model"]:
        acts = activations.layer(layer)
        design = one_design(acts)
        columns = Columns(shows, torch.zeros(len(wanted), dtype=torch.long), torch.full((len(wanted),), penalty))
        weight, _ = solve(design, columns).raw(design)
        up, down = shows.double(), (~shows).double()
        exact = acts.double()
        apart = up @ exact / up.sum(dim=1, keepdim=True) - down @ exact / down.sum(dim=1, keepdim=True)
        return as_long_as_apart(weight, apart)

    found = torch.stack(each_layer(fit, activations.layers, torch.device("cpu"), progress), dim=1)
    return dict(zip(wanted, found, strict=True))


def resampled_logistic(
    sample: LayerSample, weights: Float[Tensor, "n_weightings n_problems"], *, C: float = C
) -> Float[Tensor, "n_weightings n_behaviours d_model"]:
    """The same under many weightings of the problems: every one is a column whose rows count as often as drawn.

    Activations are standardised once, over all spans.
    """
    design, n_behaviours = one_design(sample.acts.to(weights.dtype)), len(sample.shows)
    counts = weights[:, sample.problem].repeat_interleave(n_behaviours, dim=0)
    shows = sample.shows.repeat(len(weights), 1)
    found = []
    step = max(n_behaviours, MOST_COLUMNS // len(sample.acts))
    for first in range(0, len(counts), step):
        part = slice(first, first + step)
        n_here = len(counts[part])
        columns = _Counted(
            shows[part], torch.zeros(n_here, dtype=torch.long), torch.full((n_here,), C), counts=counts[part]
        )
        found.append(solve_logistic(design, columns, RESAMPLED_TOLERANCE).raw(design)[0])
    return torch.cat(found).view(len(weights), n_behaviours, -1).to(weights.dtype)


def resampled_ridge(
    sample: LayerSample, weights: Float[Tensor, "n_weightings n_problems"], *, alpha: float = ALPHA
) -> Float[Tensor, "n_weightings n_behaviours d_model"]:
    """The same under many weightings of the problems. Activations are standardised once, over all spans."""
    design = one_design(sample.acts.to(weights.dtype))
    means = class_means(design.rows, sample, weights)
    shift = (max(alpha, 1e-6) / means.n_spans.clamp(min=1))[:, None, None].expand_as(means.apart)
    found = solve_shifted(design.rows, sample.problem, weights, means.apart, shift)
    return found / design.spread.to(found.dtype)


@dataclass(frozen=True, eq=False)
class _Counted(Columns):
    """Columns whose rows count as often as `counts` says."""

    counts: Float[Tensor, "n_columns n"] = field(kw_only=True)

    def weights(self, design: Design) -> Float[Tensor, "n_columns n"]:
        return self.counts.to(design.rows.dtype)


def one_design(acts: Float[Tensor, "n d_model"]) -> Design:
    """All rows as one training set."""
    return Design.of(acts, np.zeros(len(acts), dtype=np.int64), np.ones((1, 1), dtype=bool), dtype=acts.dtype)


def _ridge(spread: LayerSpread, behaviour: str, alpha: float) -> Float[Tensor, " d_model"]:
    apart, _ = spread.apart(behaviour)
    total = spread.total
    scale = total.diagonal().clamp(min=0).sqrt()
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    matrix = spread.n_spans * total / torch.outer(scale, scale)
    matrix.diagonal().add_(alpha if alpha > 0 else 1e-9 * spread.n_spans)
    weight = torch.linalg.solve(matrix, apart / scale) / scale
    return as_long_as_apart(weight, apart)
