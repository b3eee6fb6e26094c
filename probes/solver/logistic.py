"""Logistic probes: every column its own L2-penalised logistic regression, and softmax probes over classes.

minimise  |u|^2 / 2 + C sum_i loss_i        (scikit-learn's C; u in units of the subset's own spread; b is free)
"""

from __future__ import annotations

import torch

from .design import Columns, Design, Solution
from .loss import Logistic, Softmax
from .minimise import minimise

TOLERANCE, PER_ROW = 3e-4, 1.5e-7  # among few rows a pair weighs more


def usual_tolerance(n_rows: int) -> float:
    """What a search may leave undone, as a share of the log odds' spread, where nobody asks for less."""
    return min(TOLERANCE, PER_ROW * n_rows)


def solve_logistic(design: Design, columns: Columns, tolerance: float | None = None) -> Solution:
    """The logistic probe of every column; its scores are log odds."""
    weights = columns.weights(design)
    n_rows, n_positive = weights.sum(dim=1), (weights * columns.labels).sum(dim=1)
    start = torch.log((n_positive + 0.5) / (n_rows - n_positive + 0.5))
    return minimise(design, columns, Logistic(), start, tolerance or usual_tolerance(len(design.rows)))


def solve_multinomial(design: Design, columns: Columns, n_classes: int, tolerance: float | None = None) -> Solution:
    """Softmax probes: `n_classes` neighbouring columns (one label each, same subset and penalty) are one probe."""
    weights = columns.weights(design)
    start = torch.log((weights * columns.labels).sum(dim=1) + 0.5)
    start = (start.view(-1, n_classes) - start.view(-1, n_classes).mean(dim=1, keepdim=True)).flatten()
    return minimise(design, columns, Softmax(n_classes), start, tolerance or usual_tolerance(len(design.rows)))
