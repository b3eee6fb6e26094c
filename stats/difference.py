"""Subtract two estimates of which only the intervals are known.

Method of variance estimates recovery (Zou & Donner 2008, Statistics in Medicine 27, 1693-1702):

    low  = d - sqrt((a - a_low)^2 + (b_high - b)^2)
    high = d + sqrt((a_high - a)^2 + (b - b_low)^2)            d = a - b

Each side of an interval stands for the error on that side, so that lopsided intervals (of shares near 0 or 1) are kept.
It is right for independent estimates, and too wide for estimates from the same problems, which move together.
"""

from __future__ import annotations

from math import hypot

from .interval import Interval


def difference_of_intervals(first: Interval, second: Interval) -> Interval:
    """Subtract one estimate from another.

    Args:
        first: The estimate, with an interval of any method.
        second: What is subtracted, with an interval of the same level.

    Returns:
        first - second, of the level of both; NaN ends where an end is NaN. `n` is the smaller one.
    """
    value = first.value - second.value
    return Interval(
        value,
        value - hypot(first.value - first.low, second.high - second.value),
        value + hypot(first.high - first.value, second.value - second.low),
        min(first.n, second.n),
    )
