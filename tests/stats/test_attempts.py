"""pass@k against exact rational binomials, and against sampling without replacement."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from math import comb

import numpy as np
import pytest

from reasonlens.stats import all_right_curves, pass_at_k, pass_curves


@pytest.mark.parametrize(("n", "k"), [(1, 1), (8, 3), (256, 1), (256, 64), (256, 256), (1000, 500)])
def test_it_is_the_exact_ratio_of_binomials(n: int, k: int) -> None:
    n_right = np.unique(np.concatenate([np.arange(min(n, 20) + 1), np.linspace(0, n, 9).astype(int)]))
    exact = [1 - Fraction(comb(n - int(c), k), comb(n, k)) for c in n_right]
    np.testing.assert_allclose(pass_at_k(n_right, n, k), [float(each) for each in exact], rtol=1e-12, atol=1e-15)


def test_it_is_the_share_of_all_draws_of_k_samples_that_hold_a_right_one() -> None:
    right = np.arange(7) < 2
    shares = [np.mean([right[list(drawn)].any() for drawn in combinations(range(7), k)]) for k in (1, 2, 4, 7)]
    assert [float(pass_at_k(np.array([2]), 7, k)[0]) for k in (1, 2, 4, 7)] == pytest.approx(shares, abs=1e-12)


def test_at_every_k_it_is_the_share_of_all_subsets_with_a_right_one_and_with_right_ones_only() -> None:
    """Every count of right samples among up to 6, every k, every subset."""
    for n in (1, 4, 6):
        ks = list(range(1, n + 1))
        passed, all_right = (curves(np.arange(n + 1), n, ks) for curves in (pass_curves, all_right_curves))
        for c in range(n + 1):
            right = np.arange(n) < c
            for place, k in enumerate(ks):
                subsets = [right[list(subset)] for subset in combinations(range(n), k)]
                assert passed[c, place] == pytest.approx(np.mean([subset.any() for subset in subsets]), abs=1e-12)
                assert all_right[c, place] == pytest.approx(np.mean([subset.all() for subset in subsets]), abs=1e-12)


def test_curves_of_many_k_are_those_of_each_k_also_where_problems_differ_in_their_samples() -> None:
    right, samples, ks = np.array([0, 3, 3, 700, 1]), np.array([900, 900, 1000, 1024, 900]), [900, 1, 37, 512]
    curves = pass_curves(right, samples, ks)
    np.testing.assert_array_equal(curves, np.stack([pass_at_k(right, samples, k) for k in ks], axis=1))
    exact = [
        [1 - Fraction(comb(int(n - c), k), comb(int(n), k)) for k in ks] for c, n in zip(right, samples, strict=True)
    ]
    np.testing.assert_allclose(curves, np.array(exact, dtype=float), rtol=1e-11)


def test_problems_may_differ_in_their_number_of_samples() -> None:
    found = pass_at_k(np.array([1, 1, 0]), np.array([4, 8, 2]), 2)
    assert found.tolist() == pytest.approx([1 / 2, 1 / 4, 0.0])


def test_a_plug_in_of_the_rate_would_be_biased_and_this_is_not() -> None:
    n_right = np.random.default_rng(0).binomial(10, 0.1, size=40_000)
    assert pass_at_k(n_right, 10, 5).mean() == pytest.approx(1 - 0.9**5, abs=0.005)
    assert abs(np.mean(1 - (1 - n_right / 10) ** 5) - (1 - 0.9**5)) > 0.02


@pytest.mark.parametrize(
    ("n_right", "k", "message"),
    [
        (1, 0, "k from 1 to the number of samples .4., not 0"),
        (1, 5, "k from 1 to the number of samples .4., not 5"),
        (5, 2, "none to all"),
        (-1, 2, "none to all"),
    ],
)
def test_impossible_counts_are_refused(n_right: int, k: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pass_at_k(np.array([n_right]), 4, k)
