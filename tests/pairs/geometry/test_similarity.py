"""Debiased CKA: kernels centred by matrices, turned and unrelated models, problems alone, coverage of the jackknife."""

from __future__ import annotations

import numpy as np
import pytest

from reasonlens.pairs.geometry.similarity import Kernel, cka, hsic, layer_similarities, leave_one_out

from .made import both, drawn, rotation


def centred_hsic(first: np.ndarray, second: np.ndarray) -> float:
    """The unbiased HSIC by n x n matrices: kernels centred without their diagonals (Szekely & Rizzo 2014)."""
    n = len(first)
    centred = []
    for rows in (first, second):
        kernel = rows @ rows.T
        np.fill_diagonal(kernel, 0)
        sums = kernel.sum(axis=0) / (n - 2)
        kernel = kernel - sums[:, None] - sums[None] + kernel.sum() / ((n - 1) * (n - 2))
        np.fill_diagonal(kernel, 0)
        centred.append(kernel)
    return float((centred[0] * centred[1]).sum() / (n * (n - 3)))


def biased_cka(first: np.ndarray, second: np.ndarray) -> float:
    """CKA as it was first published, by centring matrices."""
    n = len(first)
    centring = np.eye(n) - 1 / n
    one, other = (centring @ rows @ rows.T @ centring for rows in (first, second))
    return float((one * other).sum() / np.sqrt((one * one).sum() * (other * other).sum()))


def test_hsic_is_that_of_centred_matrices() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.standard_normal((30, 7)) + 3, generator.standard_normal((30, 11))
    second[:, :7] += first
    for one, other in ((first, second), (first, first)):
        assert hsic(Kernel(one), Kernel(other)) == pytest.approx(centred_hsic(one, other), rel=1e-9)
    expected = centred_hsic(first, second) / np.sqrt(centred_hsic(first, first) * centred_hsic(second, second))
    assert cka(Kernel(first), Kernel(second)) == pytest.approx(expected, rel=1e-9)
    assert cka(Kernel(first - 100), Kernel(second + 100)) == pytest.approx(expected, rel=1e-5)


def test_hsic_is_unbiased_where_the_biased_one_is_not() -> None:
    generator = np.random.default_rng(1)
    unrelated = [generator.standard_normal((2, 40, 200)) for _ in range(60)]
    debiased = [cka(Kernel(first), Kernel(second)) for first, second in unrelated]
    assert abs(np.mean(debiased)) < 4 * np.std(debiased) / 60**0.5 + 1e-3 and abs(np.mean(debiased)) < 0.02
    assert np.mean([biased_cka(first, second) for first, second in unrelated]) > 0.5


def test_large_samples_give_what_the_biased_one_gives() -> None:
    generator = np.random.default_rng(2)
    first = generator.standard_normal((800, 4))
    second = first @ generator.standard_normal((4, 5)) + generator.standard_normal((800, 5))
    assert cka(Kernel(first), Kernel(second)) == pytest.approx(biased_cka(first, second), abs=0.02)


def test_a_turned_scaled_and_shifted_copy_is_the_same() -> None:
    values, labels, problems = drawn()
    copy = np.stack([3 * values[:, layer] @ rotation(24, layer) + 10 for layer in (0, 1)], axis=1)
    rows = layer_similarities(both(values, copy, labels, problems), n_shuffles=4, seed=0)
    like = [row for row in rows if row.is_like]
    assert [(row.layer, row.thinking_layer) for row in rows] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [(row.layer, row.thinking_layer) for row in like] == [(0, 0), (1, 1)]
    for row in like:
        assert row.cka.value == pytest.approx(1, abs=1e-6) and row.cka.low == pytest.approx(1, abs=1e-4)
        assert row.permuted.high < 0.2


def test_problems_alone_show_in_the_control_that_permutes_within_them() -> None:
    generator = np.random.default_rng(3)
    _, labels, problems = drawn()
    shared = np.repeat(3 * generator.standard_normal((20, 2, 24)), 9, axis=0)
    first, second = shared + generator.standard_normal((2, *shared.shape))
    (row, *_) = layer_similarities(both(first, second, labels, problems), n_shuffles=4, seed=0)
    assert row.cka.value > 0.5 and abs(row.within.value - row.cka.value) < 0.05 and row.permuted.high < 0.3


def test_the_jackknife_covers_the_value_of_many_problems() -> None:
    """Of 60 samples of 15 problems, about 95% hold what 3,000 problems give."""

    def values_of(seed: int, n_problems: int) -> tuple[np.ndarray, np.ndarray]:
        generator = np.random.default_rng(seed)
        mixing = np.random.default_rng(0).standard_normal((6, 6))
        shared = np.repeat(generator.standard_normal((n_problems, 2, 6)), 4, axis=0)
        first = shared + generator.standard_normal((4 * n_problems, 2, 6))
        return first, first @ mixing * 0.4 + generator.standard_normal(first.shape)

    first, second = values_of(999, 3000)
    truth = cka(Kernel(first[:, 0]), Kernel(second[:, 0]))
    held = 0
    for seed in range(60):
        first, second = values_of(seed, 15)
        labels = ["deduction", "backtracking", "verification", "deduction"] * 15
        problems = [f"p{number}" for number in range(15) for _ in range(4)]
        (row, *_) = layer_similarities(both(first[:, :1], second[:, :1], labels, problems), n_shuffles=1, seed=0)
        held += row.cka.low <= truth <= row.cka.high
    assert held >= 51


def test_a_problem_that_is_left_out_is_as_if_it_had_never_been() -> None:
    generator = np.random.default_rng(5)
    first = generator.standard_normal((24, 7)) + 1
    second = first[:, :5] + generator.standard_normal((24, 5))
    parts = [np.arange(24) // 4 != problem for problem in range(6)]
    expected = [cka(Kernel(first[part]), Kernel(second[part])) for part in parts]
    assert leave_one_out(Kernel(first), Kernel(second), parts) == pytest.approx(expected, rel=1e-9)
    assert len(set(expected)) == 6


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="four rows or more"):
        hsic(Kernel(np.ones((3, 2))), Kernel(np.ones((3, 2))))
    assert np.isnan(cka(Kernel(np.zeros((9, 2))), Kernel(np.ones((9, 2)))))
