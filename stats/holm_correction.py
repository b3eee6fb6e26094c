"""Correct p-values for their number by Holm's step-down rule, whatever the dependence between them.

    sorted p_(1) <= ... <= p_(m):    corrected p_(i) = max over j <= i of min(1, (m - j + 1) p_(j))

(Holm 1979.)
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def holm(p_values: Float[np.ndarray, " n_tests"]) -> Float[np.ndarray, " n_tests"]:
    """Correct p-values so that one or more of those below a level are false in at most that share of experiments.

    Args:
        p_values: Of all tests that were made.

    Returns:
        The corrected p-values, in the same order.
    """
    order = np.argsort(p_values, kind="stable")
    stepped = np.minimum(1.0, p_values[order] * np.arange(len(p_values), 0, -1))
    corrected: Float[np.ndarray, " n_tests"] = np.empty(len(p_values))
    corrected[order] = np.maximum.accumulate(stepped)
    return corrected
