from __future__ import annotations

import itertools

import numpy as np
import pytest

from reasonlens.activations.engine.batching import batches


@pytest.mark.parametrize("budget", [1, 50, 300, 10_000])
def test_every_text_is_in_one_batch_and_no_batch_exceeds_the_budget(budget: int) -> None:
    lengths = np.random.default_rng(0).integers(1, 120, size=200).tolist()
    made = batches(lengths, budget)
    assert sorted(index for batch in made for index in batch) == list(range(200))
    for batch in made:
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= budget


def test_sorting_by_length_leaves_little_padding() -> None:
    lengths = np.random.default_rng(0).integers(20, 400, size=500).tolist()
    padded = sum(len(batch) * max(lengths[index] for index in batch) for batch in batches(lengths, 4096))
    assert padded <= 1.05 * sum(lengths)


def test_the_longest_rows_come_first() -> None:
    lengths = [3, 50, 7, 49, 12]
    assert batches(lengths, 100, cost_tokens=0)[0] == [1]
    assert batches(lengths, 100, cost_tokens=20)[0] == [1, 3]


@pytest.mark.parametrize("seed", range(6))
def test_the_division_is_the_one_with_least_work(seed: int) -> None:
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 60, 9).tolist()
    budget, cost = int(random.integers(60, 300)), int(random.integers(0, 50))
    order = sorted(lengths, reverse=True)

    def work(made: list[list[int]]) -> float:
        if any(len(batch) > 1 and max(batch) * len(batch) > budget for batch in made):
            return np.inf
        return sum(max(batch) * len(batch) + cost for batch in made)

    best = min(
        work([order[a:b] for a, b in itertools.pairwise([0, *cuts, 9])])
        for n_cuts in range(9)
        for cuts in itertools.combinations(range(1, 9), n_cuts)
    )
    assert work([[lengths[index] for index in batch] for batch in batches(lengths, budget, cost)]) == best
