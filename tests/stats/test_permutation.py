"""Permutations within groups, and p-values from draws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from reasonlens.stats import p_value_of_draws, row_permutations


def test_a_p_value_counts_the_figure_itself_among_its_draws() -> None:
    draws = np.array([0.1, 0.5, 0.3, 0.2])
    assert [p_value_of_draws(each, draws) for each in (0.6, 0.5, 0.25, 0.0)] == [1 / 5, 2 / 5, 3 / 5, 1.0]
    assert p_value_of_draws(0.1 + 0.2, np.array([0.3])) == 1.0  # equal but for rounding


@pytest.mark.parametrize("n_draws", [19, 200])
def test_p_values_of_noise_are_at_their_level_however_few_the_draws(n_draws: int) -> None:
    figures = np.random.default_rng(0).normal(size=(10_000, 1 + n_draws))
    p = np.array([p_value_of_draws(each[0], each[1:]) for each in figures])
    assert 0.044 <= np.mean(p <= 0.05) <= 0.056
    assert kstest(p + np.random.default_rng(1).uniform(-1, 0, 10_000) / (1 + n_draws), "uniform").pvalue > 0.01


def test_rows_stay_in_their_group_and_are_drawn_as_by_the_generator() -> None:
    groups = np.random.default_rng(0).permutation(np.repeat(np.arange(15), 4))
    orders = row_permutations(60, 20, [3, 1993], groups)
    assert (np.sort(orders, axis=1) == np.arange(60)).all() and (groups[orders] == groups).all()
    generator, place = np.random.default_rng([3, 1993]), np.argsort(groups, kind="stable")
    for order in orders:
        expected = np.empty(60, dtype=int)
        expected[place] = np.lexsort((generator.random(60), groups))
        assert (order == expected).all()


def test_without_groups_every_order_of_the_rows_is_as_likely() -> None:
    orders = row_permutations(3, 6000, 0)
    _, times = np.unique(orders, axis=0, return_counts=True)
    assert len(times) == 6 and np.abs(times / 1000 - 1).max() < 0.1
