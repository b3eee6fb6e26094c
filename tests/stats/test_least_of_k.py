"""The least of k draws against a count over all sets of k, and against pass@k."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from reasonlens.stats import expected_least, pass_at_k


@pytest.mark.parametrize("k", [1, 2, 3, 5, 6])
def test_it_is_the_mean_over_all_sets_of_k(k: int) -> None:
    draws = np.random.default_rng(0).integers(0, 4, size=(5, 6)).astype(float)
    by_hand = [np.mean([min(some) for some in combinations(row, k)]) for row in draws]
    assert expected_least(draws, k) == pytest.approx(by_hand)


def test_of_right_and_wrong_it_is_pass_at_k() -> None:
    wrong = (np.random.default_rng(1).random((20, 16)) < 0.8).astype(float)
    for k in (1, 4, 16):
        n_right = (wrong == 0).sum(axis=1)
        assert 1 - expected_least(wrong, k) == pytest.approx(pass_at_k(n_right, 16, k))


def test_more_draws_than_there_are_and_none_are_refused() -> None:
    for k in (0, 4):
        with pytest.raises(ValueError, match=f"from 1 to the number of draws \\(3\\), not {k}"):
            expected_least(np.zeros((2, 3)), k)
