"""Test whether two arms that answered the same questions differ.

McNemar's exact test counts the questions that just one of them solves; it takes questions as independent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool
from scipy.stats import binomtest


@dataclass(frozen=True, slots=True)
class McNemar:
    """Questions on which two arms differ, and how likely so uneven a split is if neither is better (exact)."""

    n_better: int  # only the first is right
    n_worse: int  # only the second is right
    p: float  # two-sided


def mcnemar_over_questions(arm: Bool[np.ndarray, " n_questions"], other: Bool[np.ndarray, " n_questions"]) -> McNemar:
    """Test the questions that just one of two arms solves (McNemar 1947, exact), each taken as independent.

    Args:
        arm: Whether the first arm solved each question.
        other: Whether the second did.

    Returns:
        Both counts, and the two-sided p-value.
    """
    n_better, n_worse = int(np.sum(arm & ~other)), int(np.sum(other & ~arm))
    n_differing = n_better + n_worse
    return McNemar(n_better, n_worse, float(binomtest(n_better, n_differing).pvalue) if n_differing else 1.0)
