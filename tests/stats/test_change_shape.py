"""Whether a curve changes and how: levels kept at the nominal rate, planted shapes, and squares by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from reasonlens.stats import (
    change_point_of_series,
    change_point_over_groups,
    change_shape_of_series,
    change_shape_over_groups,
    change_test_of_series,
    change_test_over_groups,
)
from reasonlens.stats.change_point import split_variances, two_levels
from reasonlens.stats.change_shape import line

STEPS = [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0]
SHAPES = {
    "level": [0.3] * 7,
    "jump": [0.2] * 3 + [0.4] * 4,
    "steady": list(np.linspace(0.2, 0.5, 7)),
    "bent": [0.2, 0.38, 0.46, 0.49, 0.5, 0.5, 0.5],
}


def curves(rng: np.random.Generator, rates: list[float], n: int = 60, samples: int = 8) -> np.ndarray:
    ease = rng.beta(3, 3, n)
    return rng.binomial(samples, np.clip(2 * ease[:, None] * np.array(rates), 0, 1)) / samples


def test_squares_are_those_of_fits_by_hand() -> None:
    curve = np.random.default_rng(0).normal(size=7)
    whole = ((curve - curve.mean()) ** 2).sum()
    for split, explained in enumerate(split_variances(curve[None])[0], start=1):
        rest = sum(((part - part.mean()) ** 2).sum() for part in (curve[:split], curve[split:]))
        assert explained == pytest.approx(whole - rest)
    places = np.array(STEPS) ** 1.5
    assert line(curve, places) == pytest.approx(np.polyval(np.polyfit(places, curve, 1), places))
    assert len(set(two_levels(curve[None])[0].round(12))) == 2


def test_level_curves_change_at_the_nominal_rate_alike_draws_or_not() -> None:
    """Draws that are the same at all steps, as equal random numbers give, are exchangeable too."""
    rng = np.random.default_rng(0)
    p = [change_test_over_groups(curves(rng, SHAPES["level"], 30), seed=n, n_permutations=99) for n in range(100)]
    assert 1 <= sum(one <= 0.05 for one in p) <= 11 and 0.4 < np.mean(p) < 0.6
    series = [change_test_of_series(rng.normal(size=12), seed=n, n_permutations=99) for n in range(100)]
    assert 1 <= sum(one <= 0.05 for one in series) <= 11
    constant = np.repeat(curves(rng, [0.3]), 7, axis=1)
    assert change_test_over_groups(constant, n_permutations=99) == 1


@pytest.mark.parametrize("shape", ["jump", "steady", "bent"])
def test_planted_shapes_are_told_apart(shape: str) -> None:
    rng = np.random.default_rng(1)
    shapes = Counter(
        change_shape_over_groups(curves(rng, SHAPES[shape], 150), STEPS, seed=n, n_resamples=200) for n in range(12)
    )
    assert shapes[shape] >= 10, shapes
    assert change_test_over_groups(curves(rng, SHAPES[shape]), n_permutations=99) == 0.01
    noise = 0.01 * rng.normal(size=26)
    long = np.interp(np.linspace(0, 6, 26), range(7), SHAPES[shape]) if shape != "jump" else np.repeat([0.2, 0.4], 13)
    assert change_shape_of_series(long + noise, list(range(26)), n_draws=199) == shape


def test_noise_has_no_shape() -> None:
    rng = np.random.default_rng(2)
    shapes = Counter(change_shape_over_groups(curves(rng, SHAPES["level"]), STEPS, n_resamples=199) for _ in range(20))
    assert shapes["undecided"] >= 16


def test_a_series_jumps_where_it_was_made_to() -> None:
    rng = np.random.default_rng(3)
    n_covered = 0
    for number in range(40):
        series = np.where(np.arange(20) < 8, 0.2, 0.5) + 0.15 * rng.normal(size=20)
        place = change_point_of_series(series, list(range(20)), seed=number, n_resamples=200)
        n_covered += place.low <= 7.5 <= place.high
    assert n_covered >= 35
    sure = change_point_of_series(np.repeat([0.0, 1.0], 5) + 0.01 * rng.normal(size=10), list(range(10)))
    assert (sure.value, sure.low, sure.high, sure.n) == (4.5, 4.5, 4.5, 10)


def test_weights_make_a_ratio_and_equal_ones_change_nothing() -> None:
    rng = np.random.default_rng(4)
    values = curves(rng, SHAPES["jump"])
    twice = np.full_like(values, 2.0)
    assert change_point_over_groups(2 * values, STEPS, weights=twice) == change_point_over_groups(values, STEPS)
    assert change_test_over_groups(2 * values, weights=twice) == change_test_over_groups(values)
    assert change_shape_over_groups(2 * values, STEPS, weights=twice) == change_shape_over_groups(values, STEPS)
    below = rng.integers(1, 9, size=values.shape).astype(float)  # a ratio that is level, above a count that is not
    assert change_test_over_groups(0.3 * below, weights=below, n_permutations=99) == 1
    nothing = np.where(np.arange(7) == 2, 0.0, below)
    assert np.isnan(change_point_over_groups(0.3 * nothing, STEPS, weights=nothing).value)
    assert change_test_over_groups(0.3 * nothing, weights=nothing) == 1


@pytest.mark.long
def test_planted_changes_are_covered_and_no_change_is_kept_at_the_nominal_rates() -> None:
    """300 trainings of each kind: 60 problems, 8 samples, 7 checkpoints."""
    rng = np.random.default_rng(5)
    n_found = n_covered = n_false = n_called = 0
    for number in range(300):
        jump = curves(rng, [0.2] * 3 + [0.27] * 4)
        place = change_point_over_groups(jump, STEPS, seed=number, n_resamples=300)
        n_covered += place.low <= 25 <= place.high
        n_found += change_test_over_groups(jump, seed=number, n_permutations=199) <= 0.05
        level = curves(rng, SHAPES["level"])
        n_false += change_test_over_groups(level, seed=number, n_permutations=199) <= 0.05
        steady = curves(rng, list(np.linspace(0.2, 0.3, 7)))
        n_called += change_shape_over_groups(steady, STEPS, seed=number, n_resamples=300) in ("jump", "bent")
    assert n_covered >= 0.93 * 300 and n_found >= 0.9 * 300
    assert n_false <= 0.08 * 300 and n_called <= 0.06 * 300
