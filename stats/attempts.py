"""Estimate pass@k: the probability that at least one of k samples solves a problem.

    pass@k = 1 - C(n - c, k) / C(n, k) = 1 - prod_{i < k} (n - c - i) / (n - i)        n samples, c of them right

It is unbiased for each problem (Chen et al. 2021, arXiv 2107.03374); 1 - (1 - c / n)^k is not. The product needs no
factorial of hundreds.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int


def pass_at_k(
    n_right: Int[np.ndarray, " n_problems"], n_samples: int | Int[np.ndarray, " n_problems"], k: int
) -> Float[np.ndarray, " n_problems"]:
    """Estimate pass@k of each problem; `mean_over_groups` gives the mean and its interval over problems.

    Args:
        n_right: Samples of each problem that were right.
        n_samples: Samples of each problem.
        k: Samples of which one must be right.

    Returns:
        A probability for each problem.

    Raises:
        ValueError: k is below 1 or above the number of samples, or more samples are right than there are.
    """
    right, samples = np.broadcast_arrays(np.asarray(n_right), np.asarray(n_samples))
    fewest = int(samples.min()) if samples.size else k
    if not 1 <= k <= fewest:
        raise ValueError(f"pass@k needs k from 1 to the number of samples ({fewest}), not {k}")
    if (right < 0).any() or (right > samples).any():
        raise ValueError("of a problem's samples, none to all are right, and not fewer or more")
    place = np.arange(k)[:, None]  # in the order in which samples are drawn
    missed = np.prod(np.clip((samples - right - place) / (samples - place), 0.0, None), axis=0)
    return np.asarray(1 - missed, dtype=np.float64)
