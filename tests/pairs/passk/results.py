"""A result of pass@k made of counts drawn here, with a hostile name in every place that a user could fill."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from reasonlens.pairs.passk import PasskResult, PasskSettings, passk

EVIL = "<script>alert('x')</script>"


def rows(seed: int, rates: np.ndarray, n: int = 16, *, steps: bool = False) -> list[dict[str, Any]]:
    """Counts of problems that are solved at these rates; with steps, half of the right samples have right steps."""
    right = np.random.default_rng(seed).binomial(n, rates)
    counts = [{"id": f"{EVIL}-{number}", "n": n, "c": int(c)} for number, c in enumerate(right)]
    return [row | {"right_steps": row["c"] // 2} for row in counts] if steps else counts


def crossing_rates(seed: int, n_problems: int) -> tuple[np.ndarray, np.ndarray]:
    """Rates of a base, and of a thinking model that is better at three of four problems and gave the others up."""
    generator = np.random.default_rng([seed, 1])
    base = generator.beta(0.8, 3, size=n_problems)
    return base, np.where(generator.random(n_problems) < 0.75, 1 - (1 - base) ** 6, 0.02 * base)


def passk_result(n_problems: int = 20) -> PasskResult:
    """Curves of a pair that crosses, graded by answers and by steps, with chance."""
    base, thinking = crossing_rates(0, n_problems)
    result = passk(
        base_counts=rows(0, base, steps=True),
        thinking_counts=rows(1, thinking, steps=True),
        settings=PasskSettings(chance=0.01, n_resamples=200, taus=(0.25, 0.5, 1.0)),
    )
    return replace(result, base=EVIL, thinking=EVIL, notes=(f"{EVIL} is left out",))
