"""How likely an AUROC as high would be if labels had nothing to do with activations: permutation p-values.

Labels are permuted over the spans of each problem (spans of one problem are alike, and how many of them show a
behaviour is the problem's own), and the whole cross-validation is done again with every permutation. That is affordable
for ridge probes, whose out-of-fold scores are one matrix times the labels:

    scores[test] = H_f labels[train],     H_f = Z_test (Z'Z + a I)^-1 Z',     a = number of training spans

so the p-values are those of ridge probes. They are corrected over layers (`stats.corrected_p_values`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...stats import row_permutations
from ..metrics import rank_wins
from ..solver import Design

FEWEST_MIXED_PROBLEMS = 5
CHUNK = 1 << 25  # scores held at once


def permuted_rows(
    shows: Bool[np.ndarray, "n_behaviours n_examples"],
    problems: Int[np.ndarray, " n_examples"],
    n_permutations: int,
    seed: int,
) -> tuple[Int[np.ndarray, "n_permutations n_examples"], str]:
    """Row orders, and whether rows were permuted "within problems" or "over all spans".

    The latter where fewer than five problems hold both a behaviour and its absence, and permuting within them would
    change next to nothing.
    """
    n_here = np.bincount(problems)
    n_up = np.stack([np.bincount(problems, each, len(n_here)) for each in shows])
    is_mixed = (n_up > 0) & (n_up < n_here)
    within = bool((is_mixed.sum(axis=1) >= FEWEST_MIXED_PROBLEMS).all())
    rows = row_permutations(len(problems), n_permutations, [seed, 1993], problems if within else None)
    return rows, "within problems" if within else "over all spans"


def ridge_aurocs(
    design: Design,
    folds: Int[Tensor, " n_examples"],
    subset_of_fold: list[int],
    labels: Bool[Tensor, "n_columns n_examples"],
) -> Float[np.ndarray, " n_columns"]:
    """Cross-validated AUROC of ridge probes for every set of labels. subset_of_fold: what each fold is trained on."""
    wins, pairs = torch.zeros(2, len(labels), dtype=torch.float64, device=labels.device)
    for fold, subset in enumerate(subset_of_fold):
        test, train = folds == fold, design.in_subset[subset]
        smooth = _smoother(design, train, test, subset)
        n_columns = max(1, CHUNK // int(train.sum()))
        for first in range(0, len(labels), n_columns):
            part = labels[first : first + n_columns]
            found = rank_wins(smooth(part[:, train].to(design.rows.dtype)), part[:, test])
            wins[first : first + n_columns] += found[0]
            pairs[first : first + n_columns] += found[1]
    return np.asarray((wins / pairs).cpu())


def _smoother(design: Design, train: Tensor, test: Tensor, subset: int) -> Callable[[Tensor], Tensor]:
    """From labels of the training rows to scores of the test rows, up to a constant."""
    seen = (design.rows[train] - design.mean[subset]) / design.scale[subset]
    unseen = (design.rows[test] - design.mean[subset]) / design.scale[subset]
    n, d_model = seen.shape
    eye = torch.eye(min(n, d_model), dtype=seen.dtype, device=seen.device)
    if n < d_model:
        factor = torch.linalg.cholesky(seen @ seen.T + n * eye)
        hat = torch.cholesky_solve(seen @ unseen.T, factor).T
    else:
        factor = torch.linalg.cholesky(seen.T @ seen + n * eye)
        half = torch.cholesky_solve(unseen.T, factor).T  # (n_test, d_model)
        if len(unseen) * n > d_model * (n + len(unseen)):
            return lambda labels: (labels - labels.mean(dim=1, keepdim=True)) @ seen @ half.T
        hat = half @ seen.T
    hat = hat - hat.mean(dim=1, keepdim=True)  # labels may then stay as they are: their mean scores nothing
    return lambda labels: labels @ hat.T
