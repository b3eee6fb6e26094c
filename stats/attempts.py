"""Estimate pass@k, the probability that at least one of k samples solves a problem, and pass^k, that all of them do.

    pass@k = 1 - C(n - c, k) / C(n, k) = 1 - prod_{i < k} (n - c - i) / (n - i)        n samples, c of them right
    pass^k =     C(c, k)     / C(n, k) =     prod_{i < k} (c - i)     / (n - i)

Both are unbiased for each problem (Chen et al. 2021, arXiv 2107.03374; Yao et al. 2024, arXiv 2406.12045);
1 - (1 - c / n)^k is not. The products need no factorial of hundreds, and one running product serves every k.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

Counts = Int[np.ndarray, " n_problems"]


def pass_at_k(n_right: Counts, n_samples: int | Counts, k: int) -> Float[np.ndarray, " n_problems"]:
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
    return pass_curves(n_right, n_samples, [k])[:, 0]


def pass_curves(n_right: Counts, n_samples: int | Counts, ks: Sequence[int]) -> Float[np.ndarray, "n_problems n_ks"]:
    """Estimate pass@k of each problem at many k.

    Args:
        n_right: Samples of each problem that were right.
        n_samples: Samples of each problem.
        ks: Samples of which one must be right.

    Returns:
        A probability for each problem and k.

    Raises:
        ValueError: A k is below 1 or above the number of samples, or more samples are right than there are.
    """
    right, samples = _checked(n_right, n_samples, ks)
    return 1 - _all_of_one_kind(samples - right, samples, ks)


def all_right_curves(
    n_right: Counts, n_samples: int | Counts, ks: Sequence[int]
) -> Float[np.ndarray, "n_problems n_ks"]:
    """Estimate pass^k of each problem at many k.

    Args:
        n_right: Samples of each problem that were right.
        n_samples: Samples of each problem.
        ks: Samples that must all be right.

    Returns:
        A probability for each problem and k.

    Raises:
        ValueError: A k is below 1 or above the number of samples, or more samples are right than there are.
    """
    return _all_of_one_kind(*_checked(n_right, n_samples, ks), ks)


def _checked(n_right: Counts, n_samples: int | Counts, ks: Sequence[int]) -> tuple[Counts, Counts]:
    right, samples = np.broadcast_arrays(np.asarray(n_right), np.asarray(n_samples))
    fewest = int(samples.min()) if samples.size else max(ks)
    for k in ks:
        if not 1 <= k <= fewest:
            raise ValueError(f"pass@k needs k from 1 to the number of samples ({fewest}), not {k}")
    if (right < 0).any() or (right > samples).any():
        raise ValueError("of a problem's samples, none to all are right, and not fewer or more")
    return right, samples


def _all_of_one_kind(n_of_kind: Counts, samples: Counts, ks: Sequence[int]) -> Float[np.ndarray, "n_problems n_ks"]:
    """Compute how likely k samples, drawn without replacement, are all of a kind of which there are so many."""
    pairs, which = np.unique(np.stack([n_of_kind, samples]), axis=1, return_inverse=True)
    place = np.arange(max(ks, default=0))[:, None]  # in the order in which samples are drawn
    running = np.cumprod(np.clip((pairs[0] - place) / (pairs[1] - place), 0.0, None), axis=0)
    chosen: Float[np.ndarray, "n_problems n_ks"] = running[np.asarray(ks, dtype=int) - 1].T[which.ravel()]
    return chosen
