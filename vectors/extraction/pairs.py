"""Compute the principal direction of paired differences (Zou et al. 2023, arXiv 2310.01405; repeng's PCA).

A pair is a span of the behaviour and the mean of all spans of other labels in the same trace, so that what a text is
about cancels; a trace without other labels gives no pair. With x_i the difference of pair i:

    uncentred (default)   u = the leading eigenvector of sum x_i x_i'             what the pairs have in common
    centred               u = that of sum (x_i - mean x)(x_i - mean x)'           only how pairs differ from each other

Uncentred is Zou et al.'s form (they flip the sign of every second pair, which removes the mean) and repeng's
"pca_center". Centred is repeng's default "pca_diff"; it finds the behaviour only if pairs show it to different degrees.
The length of the direction is the mean difference along u, and its sign makes that positive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...activations import Activations
from ...probes.single_threads import map_layers
from ...rundir import InputError
from .._directions import Directions
from .sample import LayerSample
from .source import (
    Source,
    choose_behaviours,
    make_directions,
    require_activations,
    rescale_to_mean_difference,
    solving,
)

SUBSPACE_SIZE = 6  # vectors that the subspace iteration carries along
TOLERANCE = 1e-5  # 1 - cosine between two steps at which it ends
MAX_STEPS = 60


def pca_directions(
    source: Source, *, behaviours: Sequence[str] | None = None, centred: bool = False, progress: bool = False
) -> Directions:
    """Compute the first principal direction of every behaviour's paired differences, at every layer.

    Args:
        source: Activations; moments are not enough.
        behaviours: The behaviours to find directions for. None means all that have at least two pairs.
        centred: Subtract the mean difference first, as repeng's "pca_diff" does.
        progress: Show a progress bar over layers.

    Returns:
        The directions, pointing towards the behaviour, at the length of the mean difference along them. Scores hold
        `explained`, the share of the differences' squared length that lies along the direction, for each layer.

    Raises:
        InputError: `source` holds moments, no span shows a behaviour, or a behaviour has fewer than two pairs.
    """
    activations = require_activations(source, "PCA of paired differences")
    names = _behaviours_with_pairs(activations, choose_behaviours(source, behaviours), leave_out=behaviours is None)

    def fit(layer: int) -> list[tuple[Tensor, float]]:
        sample = LayerSample.of(activations, names, layer)
        with solving("PCA of paired differences", layer):
            return [_principal_direction(paired_differences(sample, index)[0], centred) for index in range(len(names))]

    fits = map_layers(fit, source.layers, torch.device("cpu"), progress)
    vectors = {name: torch.stack([rows[index][0] for rows in fits]) for index, name in enumerate(names)}
    return make_directions(
        source,
        vectors,
        f"pca of paired differences, {'centred' if centred else 'uncentred'}, span against the other spans of its "
        "trace; length: mean difference along it",
        scores={name: {"explained": [rows[index][1] for rows in fits]} for index, name in enumerate(names)},
    )


def paired_differences(
    sample: LayerSample, behaviour: int
) -> tuple[Float[Tensor, "n_pairs d_model"], Int[Tensor, " n_pairs"]]:
    """Subtract from each span of a behaviour the mean of the other spans of its trace.

    Args:
        sample: The spans at one layer.
        behaviour: Row of the behaviour in `sample.shows_behaviour`.

    Returns:
        The differences, float64, and the problem of each.
    """
    shows_behaviour, activations = sample.shows_behaviour[behaviour], sample.activations.double()
    n_traces = int(sample.trace_index.max()) + 1
    trace_of_others = sample.trace_index[~shows_behaviour]
    sums_of_others = activations.new_zeros(n_traces, activations.shape[1])
    sums_of_others = sums_of_others.index_add_(0, trace_of_others, activations[~shows_behaviour])
    n_others = torch.bincount(trace_of_others, minlength=n_traces)
    is_paired = shows_behaviour & (n_others[sample.trace_index] > 0)
    trace_of_pair = sample.trace_index[is_paired]
    means_of_others = sums_of_others[trace_of_pair] / n_others[trace_of_pair][:, None]
    return activations[is_paired] - means_of_others, sample.problem_index[is_paired]


def resampled_pca(
    sample: LayerSample, weights: Float[Tensor, "n_weightings n_problems"], *, centred: bool = False
) -> Float[Tensor, "n_weightings n_behaviours d_model"]:
    """Compute the same under many weightings of the problems: subspace iteration from the directions of all pairs."""
    n_behaviours = len(sample.shows_behaviour)
    return torch.stack([_leading_directions(sample, index, weights, centred) for index in range(n_behaviours)], dim=1)


def _leading_directions(
    sample: LayerSample, behaviour: int, weights: Float[Tensor, "n_weightings n_problems"], centred: bool
) -> Float[Tensor, "n_weightings d_model"]:
    exact, problem_index = paired_differences(sample, behaviour)
    span_basis = torch.linalg.svd(exact, full_matrices=False).Vh  # all pairs lie in it: fewer coordinates
    x = (exact @ span_basis.T).to(weights.dtype)  # (n_pairs, n_coordinates)
    span_basis = span_basis.to(weights.dtype)
    axes = torch.linalg.svd(x - x.mean(dim=0) if centred else x, full_matrices=False).Vh
    counts = weights[:, problem_index]  # (n_weightings, n_pairs)
    pair_share = counts / counts.sum(dim=1, keepdim=True).clamp(min=1)
    mean = pair_share @ x  # (n_weightings, n_coordinates)
    subtracted_mean = mean if centred else torch.zeros_like(mean)

    def product(basis: Float[Tensor, "n_weightings d_model k"]) -> Float[Tensor, "n_weightings d_model k"]:
        n_weightings, _, k = basis.shape
        flat_basis = basis.transpose(0, 1).flatten(1)  # (n_coordinates, n_weightings * k): one matrix product for all
        projections = (x @ flat_basis).view(len(x), n_weightings, k) * pair_share.T[..., None]
        second_moment = (x.T @ projections.flatten(1)).view(-1, n_weightings, k).transpose(0, 1)
        covariance: Tensor = second_moment - subtracted_mean[..., None] * (subtracted_mean[:, None] @ basis)
        return covariance

    basis = axes[:SUBSPACE_SIZE].T.expand(len(weights), -1, -1)
    leading = basis[..., 0]
    for _ in range(MAX_STEPS):
        basis = torch.linalg.qr(product(basis)).Q
        values, rotation = torch.linalg.eigh(basis.transpose(1, 2) @ product(basis))
        previous, leading = leading, (basis @ rotation[..., -1:])[..., 0]
        change = 1 - (previous * leading).sum(dim=1).abs()
        if (change < TOLERANCE).all():
            break
    directions: Tensor = rescale_to_mean_difference(leading, mean) @ span_basis
    return directions


def _principal_direction(
    differences: Float[Tensor, "n_pairs d_model"], centred: bool
) -> tuple[Float[Tensor, " d_model"], float]:
    mean = differences.mean(dim=0)
    _, singular_values, axes = torch.linalg.svd(differences - mean if centred else differences, full_matrices=False)
    squares = singular_values.square()
    return rescale_to_mean_difference(axes[0], mean), float(squares[0] / squares.sum().clamp(min=1e-300))


def _behaviours_with_pairs(
    activations: Activations, behaviours: tuple[str, ...], *, leave_out: bool
) -> tuple[str, ...]:
    """Return the behaviours with at least two pairs; raise InputError for others unless they may be left out."""
    label_counts: dict[str, Counter[str]] = {}
    for example in activations.examples:
        label_counts.setdefault(example.trace, Counter())[example.label] += 1
    n_pairs = {
        name: sum(counts[name] for counts in label_counts.values() if counts.total() > counts[name])
        for name in behaviours
    }
    paired = tuple(name for name in behaviours if n_pairs[name] >= 2)
    unpaired = [name for name in behaviours if name not in paired]
    if unpaired and not (leave_out and paired):
        raise InputError(
            f"{unpaired[0]!r} has {n_pairs[unpaired[0]]} spans in traces that hold other labels too: paired "
            "differences need at least two; take mean-difference, or leave it out (--behaviours)"
        )
    return paired
