from __future__ import annotations

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


def test_the_largest_batch_comes_first() -> None:
    lengths = [3, 50, 7, 49, 12]
    assert batches(lengths, 100)[0] == [1, 3]
