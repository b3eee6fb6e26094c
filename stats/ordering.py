"""Count how often a reading puts things in the order of their truth."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import nan


def concordance(truths: Sequence[float], readings: Sequence[float], margin: float = 0.0) -> tuple[float, int]:
    """Count, of all pairs of things whose truths differ, those that a reading puts in the right order.

    Args:
        truths: Of each thing.
        readings: Of the same things; two equal ones count as half right.
        margin: Pairs whose truths differ by no more than this are left out.

    Returns:
        The share, 0 to 1 (a half by chance; NaN without such pairs), and the number of pairs.

    Raises:
        ValueError: There are not as many readings as truths.
    """
    if len(truths) != len(readings):
        raise ValueError(f"{len(truths)} truths and {len(readings)} readings cannot be compared")
    right = [
        0.5 if one[1] == other[1] else float((one[0] > other[0]) == (one[1] > other[1]))
        for one, other in combinations(zip(truths, readings, strict=True), 2)
        if abs(one[0] - other[0]) > margin
    ]
    return (sum(right) / len(right) if right else nan), len(right)
