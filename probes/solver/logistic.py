"""Solve logistic probes: every column is an L2-penalised logistic regression; and softmax probes over classes.

minimise  |u|^2 / 2 + C sum_i loss_i        (scikit-learn's C; u in units of the subset's own spread; b is free)
"""

from __future__ import annotations

import torch

from .design import Columns, Design, Solution
from .loss import Logistic, Softmax
from .minimise import minimise

TOLERANCE, TOLERANCE_PER_ROW = 3e-4, 1.5e-7  # with few rows each pair counts more, so it is smaller
ROUGH_TOLERANCE = 1e-3  # of random labels: an AUROC is then off by 0.0002 in the mean, and draws by 0.02 and more


def default_tolerance(n_rows: int) -> float:
    """Choose the change, as a share of the log odds' spread, at which a search ends."""
    return min(TOLERANCE, TOLERANCE_PER_ROW * n_rows)


def solve_logistic(design: Design, columns: Columns, tolerance: float | None = None) -> Solution:
    """Solve the logistic regression of every column.

    Args:
        design: The rows, standardised.
        columns: What each column predicts, from which rows, at which penalty (scikit-learn's C).
        tolerance: The change, as a share of the log odds' spread, at which a column ends; None means the default.

    Returns:
        Weights and biases of every column; scores are log odds.
    """
    weights = columns.weights(design)
    n_rows, n_positive = weights.sum(dim=1), (weights * columns.labels).sum(dim=1)
    start = torch.log((n_positive + 0.5) / (n_rows - n_positive + 0.5))
    return minimise(design, columns, Logistic(), start, tolerance or default_tolerance(len(design.rows)))


def solve_multinomial(design: Design, columns: Columns, n_classes: int, tolerance: float | None = None) -> Solution:
    """Solve softmax probes, each of `n_classes` neighbouring columns.

    Args:
        design: The rows, standardised.
        columns: One label for each class of a probe, with the same subset and penalty (scikit-learn's C).
        n_classes: The number of classes of each probe.
        tolerance: The change, as a share of the log odds' spread, at which a probe ends; None means the default.

    Returns:
        Weights and biases of every column.
    """
    weights = columns.weights(design)
    start = torch.log((weights * columns.labels).sum(dim=1) + 0.5)
    start = (start.view(-1, n_classes) - start.view(-1, n_classes).mean(dim=1, keepdim=True)).flatten()
    return minimise(design, columns, Softmax(n_classes), start, tolerance or default_tolerance(len(design.rows)))
