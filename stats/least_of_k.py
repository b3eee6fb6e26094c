"""Estimate what the least of k draws is on average, from n draws.

    E[least of k] = sum over i of  x(i) * C(n - i, k - 1) / C(n, k)        x(1) <= ... <= x(n)

the mean of the least over all sets of k of the n draws: unbiased for each problem, as pass@k is, which is 1 less this
of draws that are 0 where a sample is right and 1 where it is wrong.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def expected_least(draws: Float[np.ndarray, "n_problems n_draws"], k: int) -> Float[np.ndarray, " n_problems"]:
    """Estimate the expected least of k draws of each problem.

    Args:
        draws: Of each problem, in any unit.
        k: Draws of which the least is taken.

    Returns:
        The expected least of each problem, in the unit of the draws.

    Raises:
        ValueError: k is below 1 or above the number of draws.
    """
    n = draws.shape[1]
    if not 1 <= k <= n:
        raise ValueError(f"the least of k draws needs k from 1 to the number of draws ({n}), not {k}")
    weights = np.empty(n)  # of the i-th least; each is the one before times (n - k - i) / (n - 1 - i)
    weights[0] = k / n
    for place in range(1, n):
        weights[place] = weights[place - 1] * max(0, n - k - place + 1) / (n - place)
    least: Float[np.ndarray, " n_problems"] = np.sort(draws, axis=1) @ weights
    return least
