"""Project out of directions what problems are about: the leading directions in which problems differ.

    v' = v - B B' v,        B: orthonormal, the k leading principal directions of the content of problems

(Zhuang et al. 2026, arXiv 2604.02113, with k = 4 and the mean activation over the tokens of each question.) With
labelled spans, the content c_p of problem p is fitted by least squares together with the effect of the labels:
activation = a_label + c_problem + noise. So a problem with much backtracking does not carry the direction of
backtracking into its content. Problems are weighted by their number of spans. For the paper's own form, pass
activations of traces whose single span is the question.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...activations import Activations
from ...rundir import InputError
from .._directions import Directions
from .sample import integer_codes

N_COMPONENTS = 4


def project_out_content(
    directions: Directions, activations: Activations, *, n_components: int | float = N_COMPONENTS
) -> Directions:
    """Remove from every direction its part in the content subspace, layer by layer.

    Args:
        directions: The directions to change.
        activations: Activations of the same model at (at least) the layers of `directions`; the content is fitted
            on them.
        n_components: How many components are removed. A value below 1 is a share: as many are removed as hold that
            share of the variance between problems.

    Returns:
        The directions without that part. Scores hold for each layer `content_removed`, the share of each vector's
        squared length that was removed (a random subspace would take n_components / d_model), and
        `content_components`, the number of components.

    Raises:
        InputError: A layer was not collected, the activations have another width, or there are more components than
            the problems can determine.
    """
    widths = {activations.overall_mean.shape[1], *(rows.shape[1] for rows in directions.vectors.values())}
    if len(widths) > 1:
        raise InputError(
            f"the directions and the activations are of different widths ({', '.join(map(str, sorted(widths)))}); take "
            "activations of the model that the directions are for"
        )
    bases = content_bases(activations, directions.layers, n_components)
    vectors, scores = {}, {name: dict(layer_scores) for name, layer_scores in directions.scores.items()}
    for name, rows in directions.vectors.items():
        remaining = torch.stack([remove_subspace(row, basis) for row, basis in zip(rows, bases, strict=True)])
        vectors[name] = remaining.to(rows.dtype)
        square = rows.double().square().sum(dim=1)
        removed = 1 - remaining.square().sum(dim=1) / torch.where(square > 0, square, torch.ones_like(square))
        scores[name] = scores.get(name, {}) | {
            "content_removed": removed.clamp(min=0).tolist(),
            "content_components": [float(basis.shape[1]) for basis in bases],
        }
    extent = f"{n_components} leading" if n_components >= 1 else f"the leading, {n_components:.0%} of the variance,"
    return replace(
        directions,
        vectors=vectors,
        scores=scores,
        method=f"{directions.method}; without {extent} directions between problems (content)",
    )


def content_bases(
    activations: Activations, layers: tuple[int, ...], n_components: int | float
) -> list[Float[Tensor, "d_model k"]]:
    """Compute the content subspace at each of `layers`: orthonormal columns, float64."""
    problem_index, label_index = integer_codes(activations.problems), integer_codes(activations.labels)
    max_components = int(problem_index.max())  # one fewer than problems: their content is centred
    if not n_components > 0 or (n_components >= 1 and int(n_components) != n_components):
        raise InputError(
            f"content components are counted (4) or a share of the variance (0.5), and {n_components} is neither"
        )
    if n_components > max_components:
        raise InputError(
            f"{n_components} content components cannot be told from {max_components + 1} problems; ask for at most "
            f"{max_components}"
        )
    return [content_basis(activations.layer(layer), label_index, problem_index, n_components) for layer in layers]


def content_basis(
    activations: Float[Tensor, "n d_model"],
    label_index: Int[Tensor, " n"],
    problem_index: Int[Tensor, " n"],
    n_components: int | float,
) -> Float[Tensor, "d_model k"]:
    """Compute the content subspace of activations at one layer."""
    content, n_spans = problem_effects(activations, label_index, problem_index)
    centred = content - n_spans @ content / n_spans.sum()
    _, singular_values, axes = torch.linalg.svd(n_spans.sqrt()[:, None] * centred, full_matrices=False)
    if n_components >= 1:
        k = int(n_components)
    else:
        cumulative_share = singular_values.square().cumsum(dim=0) / singular_values.square().sum()
        k = int((cumulative_share < n_components).sum()) + 1
    basis: Tensor = axes[: min(k, activations.shape[1])].T
    return basis


def problem_effects(
    activations: Float[Tensor, "n d_model"], label_index: Int[Tensor, " n"], problem_index: Int[Tensor, " n"]
) -> tuple[Float[Tensor, "n_problems d_model"], Float[Tensor, " n_problems"]]:
    """Fit activation = a_label + c_problem + noise by least squares; return each problem's c and its number of spans.

    The label effects are solved for first, from differences within problems: as many equations as there are labels.
    Everything is float64.
    """
    exact = activations.double()
    n_labels, n_problems = int(label_index.max()) + 1, int(problem_index.max()) + 1
    counts = torch.zeros(n_problems, n_labels, dtype=torch.float64)
    counts.index_put_((problem_index, label_index), torch.ones(len(exact), dtype=torch.float64), accumulate=True)
    problem_sums = exact.new_zeros(n_problems, exact.shape[1]).index_add_(0, problem_index, exact)
    label_sums = exact.new_zeros(n_labels, exact.shape[1]).index_add_(0, label_index, exact)
    n_spans = counts.sum(dim=1)
    within_counts = torch.diag(counts.sum(dim=0)) - counts.T @ (counts / n_spans[:, None])
    within_sums = label_sums - counts.T @ (problem_sums / n_spans[:, None])
    label_effects = torch.linalg.pinv(within_counts, hermitian=True) @ within_sums
    content: Tensor = (problem_sums - counts @ label_effects) / n_spans[:, None]
    return content, n_spans


def remove_subspace(
    vectors: Float[Tensor, "... d_model"], basis: Float[Tensor, "d_model k"]
) -> Float[Tensor, "... d_model"]:
    """Subtract from `vectors` their projection on the subspace; float64."""
    exact = vectors.double()
    remaining: Tensor = exact - (exact @ basis) @ basis.T
    return remaining
