"""Directions without what problems are about: the leading directions in which problems differ are projected out.

    v' = v - B B' v,        B: orthonormal, the k leading principal directions of the content of problems

(Zhuang et al. 2026, arXiv 2604.02113: the principal directions, k = 4, of mean activations over the tokens of each
question.) From labelled spans the content c_p of a problem is what is left of its activations when behaviours are
accounted for: in acts = a_label + c_problem + noise, both fitted by least squares, so that a problem with much
backtracking does not carry the direction of backtracking into its content. Problems count by the number of their spans.

The paper's own form, from questions alone: give activations of traces that hold one span, the question.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...activations import Activations
from ...rundir import InputError
from ..directions import Directions
from .sample import numbered

N_COMPONENTS = 4


def project_out_content(
    directions: Directions, activations: Activations, *, n_components: int | float = N_COMPONENTS
) -> Directions:
    """`directions` without their part in the content subspace of `activations`, layer by layer.

    n_components: how many directions are removed; a share below 1 removes as many as hold that share of the variance
    between problems. Scores hold, for each layer, the share of each vector's square that was removed
    (`content_removed`; a random subspace would take n_components / d_model) and how many directions were
    (`content_components`). Raises InputError where a layer was not collected, for activations of another width, and
    for more components than there are problems to tell apart.
    """
    widths = {activations.overall_mean.shape[1], *(rows.shape[1] for rows in directions.vectors.values())}
    if len(widths) > 1:
        raise InputError(
            f"the directions and the activations are of different widths ({', '.join(map(str, sorted(widths)))}); take "
            "activations of the model that the directions are for"
        )
    bases = content_bases(activations, directions.layers, n_components)
    vectors, scores = {}, {name: dict(figures) for name, figures in directions.scores.items()}
    for name, rows in directions.vectors.items():
        kept = torch.stack([without(row, basis) for row, basis in zip(rows, bases, strict=True)])
        vectors[name] = kept.to(rows.dtype)
        square = rows.double().square().sum(dim=1)
        removed = 1 - kept.square().sum(dim=1) / torch.where(square > 0, square, torch.ones_like(square))
        scores[name] = scores.get(name, {}) | {
            "content_removed": removed.clamp(min=0).tolist(),
            "content_components": [float(basis.shape[1]) for basis in bases],
        }
    said = f"{n_components} leading" if n_components >= 1 else f"the leading, {n_components:.0%} of the variance,"
    return replace(
        directions,
        vectors=vectors,
        scores=scores,
        method=f"{directions.method}; without {said} directions between problems (content)",
    )


def content_bases(
    activations: Activations, layers: tuple[int, ...], n_components: int | float
) -> list[Float[Tensor, "d_model k"]]:
    """The content subspace at each of `layers`: orthonormal columns, float64."""
    problem, label = numbered(activations.problems), numbered(activations.labels)
    n_free = int(problem.max())  # the content of problems has no mean of its own
    if not n_components > 0 or (n_components >= 1 and int(n_components) != n_components):
        raise InputError(
            f"content components are counted (4) or a share of the variance (0.5), and {n_components} is neither"
        )
    if n_components > n_free:
        raise InputError(
            f"{n_components} content components cannot be told from {n_free + 1} problems; ask for at most {n_free}"
        )
    return [content_basis(activations.layer(layer), label, problem, n_components) for layer in layers]


def content_basis(
    acts: Float[Tensor, "n d_model"], label: Int[Tensor, " n"], problem: Int[Tensor, " n"], n_components: int | float
) -> Float[Tensor, "d_model k"]:
    """The content subspace of activations at one layer."""
    content, n_spans = problem_effects(acts, label, problem)
    centred = content - n_spans @ content / n_spans.sum()
    _, values, axes = torch.linalg.svd(n_spans.sqrt()[:, None] * centred, full_matrices=False)
    if n_components >= 1:
        k = int(n_components)
    else:
        share = values.square().cumsum(dim=0) / values.square().sum()
        k = int((share < n_components).sum()) + 1
    basis: Tensor = axes[: min(k, acts.shape[1])].T
    return basis


def problem_effects(
    acts: Float[Tensor, "n d_model"], label: Int[Tensor, " n"], problem: Int[Tensor, " n"]
) -> tuple[Float[Tensor, "n_problems d_model"], Float[Tensor, " n_problems"]]:
    """c of every problem in acts = a_label + c_problem + noise by least squares, and its number of spans; float64.

    The labels are solved for first, from differences within problems: as many equations as there are labels.
    """
    exact = acts.double()
    n_labels, n_problems = int(label.max()) + 1, int(problem.max()) + 1
    counts = torch.zeros(n_problems, n_labels, dtype=torch.float64)
    counts.index_put_((problem, label), torch.ones(len(exact), dtype=torch.float64), accumulate=True)
    of_problem = exact.new_zeros(n_problems, exact.shape[1]).index_add_(0, problem, exact)
    of_label = exact.new_zeros(n_labels, exact.shape[1]).index_add_(0, label, exact)
    n_spans = counts.sum(dim=1)
    inside = torch.diag(counts.sum(dim=0)) - counts.T @ (counts / n_spans[:, None])
    effects = torch.linalg.pinv(inside, hermitian=True) @ (of_label - counts.T @ (of_problem / n_spans[:, None]))
    content: Tensor = (of_problem - counts @ effects) / n_spans[:, None]
    return content, n_spans


def without(vectors: Float[Tensor, "... d_model"], basis: Float[Tensor, "d_model k"]) -> Float[Tensor, "... d_model"]:
    """What is left of `vectors` outside the subspace; float64."""
    exact = vectors.double()
    outside: Tensor = exact - (exact @ basis) @ basis.T
    return outside
