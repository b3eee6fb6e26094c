"""Solve probes with a closed form: ridge, linear discriminant and mean difference.

With Z the centred, standardised training rows, y their labels (1, 0), m1 and m0 the class means of Z, p the share of 1:

    ridge              u = (Z'Z + a I)^-1 Z'(2 y)                       least squares on labels 1, -1, penalty a |u|^2
    discriminant       u = ((1 - s) W + s (tr W / d) I)^-1 (m1 - m0)    W: covariance within the classes, shrunk by s
    mean difference    w = mean of x over class 1 - mean over class 0   of raw x ("mass mean", arXiv 2310.06824)

W = Z'Z / n - p (1 - p) (m1 - m0)(m1 - m0)', so that one spectrum of Z'Z serves all columns (Sherman-Morrison). The
discriminant's scores are log odds under normal classes of one covariance; a mean difference is scored from the midpoint
of the class means.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from .design import Columns, Design, Solution
from .training_sets import TrainingSet, training_sets

# Returns u of every column of a training set, and the score of the mean of its rows.
Form = Callable[
    [TrainingSet, Float[Tensor, " n_here"]], tuple[Float[Tensor, "n_here d_model"], Float[Tensor, " n_here"]]
]


def solve_ridge(design: Design, columns: Columns) -> Solution:
    """Solve ridge regression on labels 1 and -1.

    Args:
        design: The rows, standardised.
        columns: What each column predicts, from which rows, at which penalty (scikit-learn's alpha).

    Returns:
        Weights and biases of every column.
    """
    return _solve(design, columns, _ridge)


def solve_discriminant(design: Design, columns: Columns) -> Solution:
    """Solve Fisher's linear discriminant with a shrunk covariance.

    Args:
        design: The rows, standardised.
        columns: What each column predicts, from which rows, at which penalty (the shrinkage, 0 to 1).

    Returns:
        Weights and biases of every column; scores are log odds.
    """
    return _solve(design, columns, _discriminant)


def solve_mean_difference(design: Design, columns: Columns) -> Solution:
    """Subtract the class means of raw activations.

    Args:
        design: The rows, standardised.
        columns: What each column predicts, from which rows, at which penalty (not used).

    Returns:
        Weights and biases of every column.
    """
    weights = columns.weights(design)
    positive, negative = weights * columns.labels, weights * ~columns.labels
    positive_mean = (positive @ design.rows) / positive.sum(dim=1, keepdim=True).clamp(min=1)
    negative_mean = (negative @ design.rows) / negative.sum(dim=1, keepdim=True).clamp(min=1)
    # Raw activations are rows * spread, in the difference and again in the product with the rows: spread squared.
    weight = (positive_mean - negative_mean) * design.spread.square().to(design.rows.dtype)
    return Solution(weight, -((positive_mean + negative_mean) / 2 * weight).sum(dim=1))


def _solve(design: Design, columns: Columns, form: Form) -> Solution:
    weight = design.rows.new_zeros(len(columns), design.rows.shape[1])
    bias = design.rows.new_zeros(len(columns))
    for trained in training_sets(design, columns):
        u, middle = form(trained, columns.penalty[trained.columns].double())
        n_positive = trained.labels.sum(dim=1)
        has_one_class = (n_positive == 0) | (n_positive == trained.labels.shape[1])  # nothing can be learnt
        u = torch.where(has_one_class[:, None], torch.zeros_like(u), u)
        middle = torch.where(has_one_class, torch.zeros_like(middle), middle)
        v = u / trained.scale
        weight[trained.columns] = v.to(weight.dtype)
        bias[trained.columns] = (middle - v @ trained.mean).to(bias.dtype)
    return Solution(weight, bias)


def _ridge(
    trained: TrainingSet, alpha: Float[Tensor, " n_here"]
) -> tuple[Float[Tensor, "n_here d_model"], Float[Tensor, " n_here"]]:
    signs = 2 * trained.labels - 1
    mean = signs.mean(dim=1)
    return trained.solve(signs - mean[:, None], alpha), mean


def _discriminant(
    trained: TrainingSet, shrinkage: Float[Tensor, " n_here"]
) -> tuple[Float[Tensor, "n_here d_model"], Float[Tensor, " n_here"]]:
    n, d_model = trained.rows.shape
    n_positive = trained.labels.sum(dim=1)
    positive = trained.labels / n_positive[:, None]  # weights whose product with the rows is the class mean
    negative = (1 - trained.labels) / (n - n_positive)[:, None]
    positive_mean, negative_mean = positive @ trained.rows, negative @ trained.rows
    difference = positive_mean - negative_mean
    between = n_positive * (n - n_positive) / n**2
    trace = trained.trace / n - between * difference.square().sum(dim=1)
    unshrunk = 1 - shrinkage
    # ((1 - s) Z'Z / n + shift I)^-1 = n / (1 - s) (Z'Z + n shift / (1 - s) I)^-1; s = 1 leaves the mean difference.
    shift = shrinkage * trace / d_model
    is_diagonal = shrinkage >= 1
    divisor = torch.where(is_diagonal, torch.ones_like(unshrunk), unshrunk)
    solved = trained.solve(positive - negative, n * shift / divisor) * (n / divisor)[:, None]
    solved = torch.where(is_diagonal[:, None], difference / shift[:, None], solved)
    u = solved / (1 - unshrunk * between * (difference * solved).sum(dim=1)).clamp(min=1e-12)[:, None]
    prior = torch.log(n_positive / (n - n_positive))
    return u, prior - ((positive_mean + negative_mean) / 2 * u).sum(dim=1)
