"""Learning rates by step."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi

FLOOR = 0.02  # share of the peak at the end


def warmup_and_cosine(peak: float, warmup_steps: int, n_steps: int) -> Callable[[int], float]:
    """Rise to the peak, then fall along half a cosine."""

    def rate(step: int) -> float:
        fallen = 0.5 * (1 + cos(pi * step / n_steps))
        return peak * min(1.0, (step + 1) / warmup_steps) * (FLOOR + (1 - FLOOR) * fallen)

    return rate


def linear_decay(peak: float, warmup_steps: int, n_steps: int) -> Callable[[int], float]:
    """Rise to the peak, stay until the middle, then fall along a line."""

    def rate(step: int) -> float:
        return peak * min(1.0, (step + 1) / warmup_steps) * (FLOOR + (1 - FLOOR) * min(1.0, 2 * (1 - step / n_steps)))

    return rate
