"""Corrected p-values of effects: at their level where a direction is as good as a random one, and not blind."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from reasonlens.analysis.effect.significance import corrected_over_cells

N_SETS, N_RANDOM, N_BEHAVIOURS, N_PLACES = 2000, 39, 3, 6
BEHAVIOURS = np.repeat(np.arange(N_BEHAVIOURS), N_PLACES)
SCALES = np.geomspace(0.02, 0.3, len(BEHAVIOURS))[:, None]


def sweep(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A direction of each behaviour as good as a random one, and random ones: alike over layers and strengths."""
    random = 0.7 * generator.normal(size=(1, N_RANDOM)) + 0.7 * generator.normal(size=(len(BEHAVIOURS), N_RANDOM))
    own = 0.7 * np.repeat(generator.normal(size=N_BEHAVIOURS), N_PLACES) + 0.7 * generator.normal(size=len(BEHAVIOURS))
    return own * SCALES[:, 0], random * SCALES


def test_one_of_all_cells_is_significant_as_often_as_it_says_and_uncorrected_far_more_often() -> None:
    generator = np.random.default_rng(0)
    corrected, plain = 0, 0
    for _ in range(N_SETS):
        effects, random = sweep(generator)
        corrected += corrected_over_cells(effects, random, BEHAVIOURS).min() <= 0.05
        plain += ((1 + (random >= effects[:, None]).sum(axis=1)) / (1 + N_RANDOM)).min() <= 0.05
    low, high = (float(binom.ppf(q, N_SETS, 0.05)) / N_SETS for q in (0.001, 0.999))
    assert low <= corrected / N_SETS <= high
    assert plain / N_SETS > 0.25


def test_a_planted_effect_is_found_at_a_small_scale_beside_cells_of_a_large_one() -> None:
    effects, random = sweep(np.random.default_rng(1))
    effects[0] = 8 * SCALES[0, 0]
    p_values = corrected_over_cells(effects, random, BEHAVIOURS)
    assert p_values[0] == pytest.approx(1 / (1 + N_RANDOM)) and p_values[0] == p_values.min()
    raw = (1 + (random.max(axis=0) >= effects[0]).sum()) / (1 + N_RANDOM)
    assert raw > 0.1, "not standardised it is lost among the large"


def test_what_no_direction_moves_is_not_significant() -> None:
    """One sentence in a thousand, where no random direction moves any, is no finding beside cells that do vary."""
    random = np.zeros((2, 39))
    random[1] = np.random.default_rng(2).normal(scale=0.1, size=39)
    p_values = corrected_over_cells(np.array([0.001, 0.0]), random, np.array([0, 0]))
    assert p_values[0] > 0.5


def test_an_effect_beyond_all_is_significant_though_one_random_direction_alone_moves_another_cell() -> None:
    """With the effect itself in the spread, every lone effect has the same z, however large."""
    random = np.zeros((96, 20))
    random[np.arange(20) + 40, np.arange(20)] = 0.05
    effects = np.zeros(96)
    effects[0] = 0.9
    p_values = corrected_over_cells(effects, random, np.zeros(96, dtype=np.int64))
    assert p_values[0] == pytest.approx(1 / 21)
