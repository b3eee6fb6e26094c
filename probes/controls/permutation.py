"""Compute permutation p-values: how likely an AUROC as high is if labels have nothing to do with activations.

Labels are permuted over the spans of each problem, since spans of one problem are similar and problems differ in how
many of them show a behaviour. The whole cross-validation is repeated with every permutation, which is affordable for
ridge probes, whose out-of-fold scores are one matrix times the labels:

    scores[test] = H_f labels[train],     H_f = Z_test (Z'Z + a I)^-1 Z',     a = number of training spans

The p-values are therefore those of ridge probes. They are corrected over layers (`stats.corrected_p_values`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...models.device_copies import uploaded
from ...models.products import product
from ...stats import row_permutations
from ..metrics import rank_wins
from ..solver import Design

MIN_MIXED_PROBLEMS = 5
CHUNK = 1 << 25  # scores in memory at once


def permuted_rows(
    shows: Bool[np.ndarray, "n_behaviours n_examples"],
    problems: Int[np.ndarray, " n_examples"],
    n_permutations: int,
    seed: int,
) -> tuple[Int[np.ndarray, "n_permutations n_examples"], str]:
    """Draw row orders; return them and whether rows were permuted "within problems" or "over all spans".

    The latter is used if fewer than five problems hold both a behaviour and its absence, since permuting within them
    would change hardly anything.
    """
    n_spans = np.bincount(problems)
    n_positive = np.stack([np.bincount(problems, positive, len(n_spans)) for positive in shows])
    is_mixed = (n_positive > 0) & (n_positive < n_spans)
    within = bool((is_mixed.sum(axis=1) >= MIN_MIXED_PROBLEMS).all())
    rows = row_permutations(len(problems), n_permutations, [seed, 1993], problems if within else None)
    return rows, "within problems" if within else "over all spans"


def ridge_aurocs(
    design: Design,
    folds: Int[np.ndarray, " n_examples"],
    subset_of_fold: list[int],
    labels: Bool[Tensor, "n_columns n_examples"],
) -> Float[np.ndarray, " n_columns"]:
    """Compute the cross-validated AUROC of ridge probes for every set of labels.

    `subset_of_fold` is the training subset of each fold.
    """
    wins, pairs = torch.zeros(2, len(labels), dtype=torch.float64, device=labels.device)
    for fold, subset in enumerate(subset_of_fold):
        train = design.rows_of(subset)
        test = uploaded(torch.from_numpy(np.flatnonzero(folds == fold)), design.rows.device)
        score = _scorer(design, train, test, subset)
        n_columns = max(1, CHUNK // len(train))
        for first in range(0, len(labels), n_columns):
            part = labels[first : first + n_columns]
            fold_wins, fold_pairs = rank_wins(score(part[:, train].to(design.rows.dtype)), part[:, test])
            wins[first : first + n_columns] += fold_wins
            pairs[first : first + n_columns] += fold_pairs
    return np.asarray((wins / pairs).cpu())


def _scorer(
    design: Design, train: Int[Tensor, " n_train"], test: Int[Tensor, " n_test"], subset: int
) -> Callable[[Tensor], Tensor]:
    """Make the function from labels of the training rows to scores of the test rows, up to a constant."""
    train_rows = (design.rows[train] - design.mean[subset]) / design.scale[subset]
    test_rows = (design.rows[test] - design.mean[subset]) / design.scale[subset]
    n, d_model = train_rows.shape
    eye = torch.eye(min(n, d_model), dtype=train_rows.dtype, device=train_rows.device)
    if n < d_model:
        factor, _ = torch.linalg.cholesky_ex(train_rows @ train_rows.T + n * eye)  # without a look at success
        hat = torch.cholesky_solve(train_rows @ test_rows.T, factor).T
    else:
        factor, _ = torch.linalg.cholesky_ex(train_rows.T @ train_rows + n * eye)
        half = torch.cholesky_solve(test_rows.T, factor).T  # (n_test, d_model)
        if len(test_rows) * n > d_model * (n + len(test_rows)):
            return lambda labels: (labels - labels.mean(dim=1, keepdim=True)) @ train_rows @ half.T
        hat = half @ train_rows.T
    hat = hat - hat.mean(dim=1, keepdim=True)  # labels need not be centred: their mean then adds nothing
    return lambda labels: product(labels, hat)
