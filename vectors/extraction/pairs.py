"""Principal direction of paired differences ("reading vector"; Zou et al. 2023, arXiv 2310.01405; repeng's PCA).

A pair is a span of the behaviour and the mean of all spans of other labels in the same trace, so that what a text is
about cancels; a trace without other labels gives no pair. With x_i the difference of pair i:

    uncentred (default)   u = the leading eigenvector of sum x_i x_i'             what pairs have in common counts
    centred               u = that of sum (x_i - mean x)(x_i - mean x)'           only how pairs differ from each other

Uncentred is Zou et al.'s (they flip the sign of every second pair, which leaves no mean to take away) and repeng's
"pca_center"; centred is repeng's "pca_diff", its default, which finds the behaviour only if pairs show it in unlike
strengths. The sign is that of the mean difference along u, which is also the length.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...activations import Activations
from ...probes.side_by_side import each_layer
from ...rundir import InputError
from ..directions import Directions
from .sample import LayerSample
from .source import (
    Source,
    as_long_as_apart,
    chosen,
    directions_of,
    need_activations,
)

BLOCK = 6  # vectors that the search for the leading one carries along
STILL = 1e-5  # 1 - cosine between two steps at which the search ends
MOST_STEPS = 60


def pca_directions(
    source: Source, *, behaviours: Sequence[str] | None = None, centred: bool = False, progress: bool = False
) -> Directions:
    """The first principal direction of every behaviour's paired differences, at the length of their mean along it.

    Scores hold, for each layer, the share of the differences' squares that lies along it (`explained`). Raises
    InputError for moments, and for a behaviour with fewer than two pairs; where none is asked for, those are left out.
    """
    activations = need_activations(source, "PCA of paired differences")
    wanted = _paired(activations, chosen(source, behaviours), leave_out=behaviours is None)

    def fit(layer: int) -> list[tuple[Tensor, float]]:
        sample = LayerSample.of(activations, wanted, layer)
        return [_principal(differences(sample, place)[0], centred) for place in range(len(wanted))]

    found = each_layer(fit, source.layers, torch.device("cpu"), progress)
    vectors = {name: torch.stack([rows[place][0] for rows in found]) for place, name in enumerate(wanted)}
    return directions_of(
        source,
        vectors,
        f"pca of paired differences, {'centred' if centred else 'uncentred'}, span against the other spans of its "
        "trace; length: mean difference along it",
        scores={name: {"explained": [rows[place][1] for rows in found]} for place, name in enumerate(wanted)},
    )


def differences(
    sample: LayerSample, behaviour: int
) -> tuple[Float[Tensor, "n_pairs d_model"], Int[Tensor, " n_pairs"]]:
    """Each span of a behaviour less the mean of the other spans of its trace, float64, and the problem of each."""
    shows, acts = sample.shows[behaviour], sample.acts.double()
    n_traces = int(sample.trace.max()) + 1
    others = acts.new_zeros(n_traces, acts.shape[1]).index_add_(0, sample.trace[~shows], acts[~shows])
    n_others = torch.bincount(sample.trace[~shows], minlength=n_traces)
    paired = shows & (n_others[sample.trace] > 0)
    of_trace = sample.trace[paired]
    return acts[paired] - others[of_trace] / n_others[of_trace][:, None], sample.problem[paired]


def resampled_pca(
    sample: LayerSample, weights: Float[Tensor, "n_weightings n_problems"], *, centred: bool = False
) -> Float[Tensor, "n_weightings n_behaviours d_model"]:
    """The same under many weightings of the problems, by subspace iteration from the directions of all pairs."""
    return torch.stack([_leading(sample, place, weights, centred) for place in range(len(sample.shows))], dim=1)


def _leading(
    sample: LayerSample, behaviour: int, weights: Float[Tensor, "n_weightings n_problems"], centred: bool
) -> Float[Tensor, "n_weightings d_model"]:
    exact, problem = differences(sample, behaviour)
    spanned = torch.linalg.svd(exact, full_matrices=False).Vh  # all pairs lie in it: fewer coordinates
    x = (exact @ spanned.T).to(weights.dtype)  # (pair, coordinate)
    spanned = spanned.to(weights.dtype)
    axes = torch.linalg.svd(x - x.mean(dim=0) if centred else x, full_matrices=False).Vh
    counts = weights[:, problem]  # (weighting, pair)
    share = counts / counts.sum(dim=1, keepdim=True).clamp(min=1)
    mean = share @ x  # (weighting, coordinate)
    taken = mean if centred else torch.zeros_like(mean)

    def product(basis: Float[Tensor, "n_weightings d_model k"]) -> Float[Tensor, "n_weightings d_model k"]:
        n_weightings, _, k = basis.shape
        side = basis.transpose(0, 1).flatten(1)  # all weightings in one product: (coordinate, weighting and k)
        along = (x @ side).view(len(x), n_weightings, k) * share.T[..., None]
        back = (x.T @ along.flatten(1)).view(-1, n_weightings, k).transpose(0, 1)
        made: Tensor = back - taken[..., None] * (taken[:, None] @ basis)
        return made

    basis = axes[:BLOCK].T.expand(len(weights), -1, -1)
    leading = basis[..., 0]
    for _ in range(MOST_STEPS):
        basis = torch.linalg.qr(product(basis)).Q
        values, rotation = torch.linalg.eigh(basis.transpose(1, 2) @ product(basis))
        before, leading = leading, (basis @ rotation[..., -1:])[..., 0]
        turned = 1 - (before * leading).sum(dim=1).abs()
        if (turned < STILL).all():
            break
    found: Tensor = as_long_as_apart(leading, mean) @ spanned
    return found


def _principal(x: Float[Tensor, "n_pairs d_model"], centred: bool) -> tuple[Float[Tensor, " d_model"], float]:
    mean = x.mean(dim=0)
    _, values, axes = torch.linalg.svd(x - mean if centred else x, full_matrices=False)
    squares = values.square()
    return as_long_as_apart(axes[0], mean), float(squares[0] / squares.sum().clamp(min=1e-300))


def _paired(activations: Activations, wanted: tuple[str, ...], *, leave_out: bool) -> tuple[str, ...]:
    """The behaviours with at least two pairs. Raises InputError for others unless they may be left out."""
    labels: dict[str, Counter[str]] = {}
    for example in activations.examples:
        labels.setdefault(example.trace, Counter())[example.label] += 1
    n_pairs = {
        name: sum(counts[name] for counts in labels.values() if counts.total() > counts[name]) for name in wanted
    }
    kept = tuple(name for name in wanted if n_pairs[name] >= 2)
    few = [name for name in wanted if name not in kept]
    if few and not (leave_out and kept):
        raise InputError(
            f"{few[0]!r} has {n_pairs[few[0]]} spans in traces that hold other labels too: paired differences need at "
            "least two; take mean-difference, or leave it out (--behaviours)"
        )
    return kept
