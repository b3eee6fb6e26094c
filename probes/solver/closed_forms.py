"""Probes with a closed form: ridge, linear discriminant and mean difference.

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

# u of every column of a training set, and the score of the mean of its rows.
Form = Callable[
    [TrainingSet, Float[Tensor, " n_here"]], tuple[Float[Tensor, "n_here d_model"], Float[Tensor, " n_here"]]
]


def solve_ridge(design: Design, columns: Columns) -> Solution:
    """Ridge regression on labels 1 and -1 (penalty: scikit-learn's alpha)."""
    return _solve(design, columns, _ridge)


def solve_discriminant(design: Design, columns: Columns) -> Solution:
    """Fisher's linear discriminant, the covariance shrunk (penalty: the share of shrinkage, 0 to 1)."""
    return _solve(design, columns, _discriminant)


def solve_mean_difference(design: Design, columns: Columns) -> Solution:
    """Difference of the class means of raw activations (penalty: not used)."""
    weights = columns.weights(design)
    up, down = weights * columns.labels, weights * ~columns.labels
    mean_up = (up @ design.rows) / up.sum(dim=1, keepdim=True).clamp(min=1)
    mean_down = (down @ design.rows) / down.sum(dim=1, keepdim=True).clamp(min=1)
    # Raw activations are rows * spread: so is their difference, and once more where it meets the rows.
    weight = (mean_up - mean_down) * design.spread.square().to(design.rows.dtype)
    return Solution(weight, -((mean_up + mean_down) / 2 * weight).sum(dim=1))


def _solve(design: Design, columns: Columns, form: Form) -> Solution:
    weight = design.rows.new_zeros(len(columns), design.rows.shape[1])
    bias = design.rows.new_zeros(len(columns))
    for trained in training_sets(design, columns):
        u, middle = form(trained, columns.penalty[trained.columns].double())
        n_up = trained.labels.sum(dim=1)
        one_class = (n_up == 0) | (n_up == trained.labels.shape[1])  # says nothing
        u = torch.where(one_class[:, None], torch.zeros_like(u), u)
        middle = torch.where(one_class, torch.zeros_like(middle), middle)
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
    n_up = trained.labels.sum(dim=1)
    up, down = trained.labels / n_up[:, None], (1 - trained.labels) / (n - n_up)[:, None]
    mean_up, mean_down = up @ trained.rows, down @ trained.rows
    apart = mean_up - mean_down
    between = n_up * (n - n_up) / n**2
    trace = trained.trace / n - between * apart.square().sum(dim=1)
    kept = 1 - shrinkage
    # ((1 - s) Z'Z / n + shift I)^-1 = n / (1 - s) (Z'Z + n shift / (1 - s) I)^-1; s = 1 leaves the mean difference.
    shift = shrinkage * trace / d_model
    whole = shrinkage >= 1
    safe = torch.where(whole, torch.ones_like(kept), kept)
    solved = trained.solve(up - down, n * shift / safe) * (n / safe)[:, None]
    solved = torch.where(whole[:, None], apart / shift[:, None], solved)
    u = solved / (1 - kept * between * (apart * solved).sum(dim=1)).clamp(min=1e-12)[:, None]
    prior = torch.log(n_up / (n - n_up))
    return u, prior - ((mean_up + mean_down) / 2 * u).sum(dim=1)
