"""Where a curve jumps: against a search by hand, with a jump that was planted, and with none."""

from __future__ import annotations

import numpy as np
import pytest

from reasonlens.stats import change_point_over_groups

STEPS = [0.0, 5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0]


def curves(rng: np.random.Generator, before: float, after: float, n: int = 120) -> np.ndarray:
    """Problems solved in four samples each; the rate jumps between steps 20 and 30."""
    ease = rng.beta(3, 3, n)
    rates = np.array([before if step < 25 else after for step in STEPS])
    return rng.binomial(4, np.clip(2 * ease[:, None] * rates, 0, 1)) / 4


def test_the_place_is_that_of_least_squares() -> None:
    values = curves(np.random.default_rng(0), 0.2, 0.35)
    mean = values.mean(axis=0)
    errors = [
        ((mean[:split] - mean[:split].mean()) ** 2).sum() + ((mean[split:] - mean[split:].mean()) ** 2).sum()
        for split in range(1, len(STEPS))
    ]
    best = int(np.argmin(errors))
    assert change_point_over_groups(values, STEPS).value == (STEPS[best] + STEPS[best + 1]) / 2


def test_a_planted_jump_is_covered_and_a_large_one_is_found_exactly() -> None:
    rng, n_covered = np.random.default_rng(1), 0
    for number in range(60):
        found = change_point_over_groups(curves(rng, 0.20, 0.27), STEPS, seed=number, n_resamples=200)
        n_covered += found.low <= 25.0 <= found.high
    assert n_covered >= 54
    found = change_point_over_groups(curves(rng, 0.1, 0.4), STEPS)
    assert (found.value, found.low, found.high, found.n) == (25.0, 25.0, 25.0, 120)


def test_a_level_curve_has_an_interval_over_most_of_its_length() -> None:
    rng = np.random.default_rng(2)
    found = [change_point_over_groups(curves(rng, 0.2, 0.2), STEPS, n_resamples=200) for _ in range(20)]
    assert np.median([one.high - one.low for one in found]) > 40


def test_observations_of_a_group_stay_together_and_what_is_no_curve_is_refused() -> None:
    values = curves(np.random.default_rng(3), 0.2, 0.27, n=40)
    twice = change_point_over_groups(np.repeat(values, 2, axis=0), STEPS, groups=np.repeat(np.arange(40), 2).tolist())
    assert twice == change_point_over_groups(values, STEPS)
    for steps in ([0.0, 1.0], [0.0, 2.0, 1.0], [0.0, 1.0, 2.0]):
        with pytest.raises(ValueError, match="three ascending steps"):
            change_point_over_groups(values, steps)
