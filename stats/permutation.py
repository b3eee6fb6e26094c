"""Shuffle rows within groups, and turn draws under the null into a p-value that is valid.

    p = (1 + draws that reach the figure) / (1 + draws)

Counting the figure itself among the draws keeps the test at its level however few draws there are (Phipson & Smyth
2010). Labels are permuted within each group where what differs between groups is no part of the question: spans of one
problem are alike, and how many of them show a behaviour is the problem's own.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

from .maximum import TOLERANCE
from .resampling import Seed


def p_value_of_draws(observed: float, draws: Float[np.ndarray, " n_draws"]) -> float:
    """Compute the one-sided p-value of a figure among its draws under the null; large is evidence.

    Args:
        observed: The figure.
        draws: The same figure under each draw of the null.

    Returns:
        The p-value, at least 1 / (1 + draws).
    """
    return float((1 + np.sum(np.asarray(draws) >= observed - TOLERANCE)) / (1 + len(draws)))


def row_permutations(
    n_rows: int, n_permutations: int, seed: Seed, groups: Int[np.ndarray, " n_rows"] | None = None
) -> Int[np.ndarray, "n_permutations n_rows"]:
    """Draw orders of rows, at random within each group.

    Args:
        n_rows: Rows to order.
        n_permutations: Orders to draw.
        seed: A seed, or a generator to go on drawing from.
        groups: The number of each row's group, in which it stays; None: rows move freely.

    Returns:
        The number of the row that comes to each place, one order a line.
    """
    orders = np.empty((n_permutations, n_rows), dtype=np.int64)
    for number, keys in enumerate(_keys(n_rows, n_permutations, seed)):
        if groups is None:
            orders[number] = np.argsort(keys)
        else:
            orders[number, np.argsort(groups, kind="stable")] = np.lexsort((keys, groups))
    return orders


def _keys(n_rows: int, n_permutations: int, seed: Seed) -> Iterator[Float[np.ndarray, " n_rows"]]:
    generator = np.random.default_rng(seed)
    return (generator.random(n_rows) for _ in range(n_permutations))
