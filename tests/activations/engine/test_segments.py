from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import embedding_bag

from reasonlens.activations.engine.segments import MAX_RUN, Segments, layout


def overlapping(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    first = random.integers(0, 900, n)
    return random.integers(0, n // 2, n), first, first + random.integers(0, 400, n), np.zeros(n)


def test_summing_runs_and_then_segments_equals_summing_every_position() -> None:
    values = torch.arange(2000, dtype=torch.float64)[:, None] ** 1.5
    for seed in range(20):
        segment, first, stop, group = overlapping(seed)
        found = layout(segment, first, stop, group)
        assert found is not None
        tensors = [torch.from_numpy(each) for each in (found.positions, found.run_starts)]
        runs = embedding_bag(tensors[0], values, tensors[1], mode="sum")
        sums = embedding_bag(torch.from_numpy(found.runs), runs, torch.from_numpy(found.segment_starts), mode="sum")
        for row, name in enumerate(found.segments):
            parts = [values[a:b].sum() for s, a, b in zip(segment, first, stop, strict=True) if s == name]
            torch.testing.assert_close(sums[row, 0], torch.stack(parts).sum(), rtol=1e-12, atol=0)
        assert set(found.segments) == set(segment[stop > first])


def test_a_position_is_read_once_and_no_run_is_long() -> None:
    segment, first, stop, group = overlapping(0)
    found = layout(segment, first, stop, group)
    assert found is not None
    assert len(np.unique(found.positions)) == len(found.positions)
    read = np.unique(np.concatenate([np.arange(a, b) for a, b in zip(first, stop, strict=True)]))
    assert np.array_equal(np.sort(found.positions), read)
    assert np.diff([*found.run_starts, len(found.positions)]).max() <= MAX_RUN


def test_empty_intervals_leave_nothing_to_read() -> None:
    empty = np.array([3, 4])
    assert layout(np.array([0, 1]), empty, empty, empty) is None


def test_the_intervals_of_some_texts_are_found_by_text() -> None:
    rows = [(0, 0, 1, 2), (1, 0, 2, 5), (2, 1, 0, 3), (3, 3, 4, 6)]
    chosen = Segments.of(rows).of_texts(np.array([0, 3]))
    assert chosen.segment.tolist() == [0, 1, 3] and chosen.text.tolist() == [0, 0, 3]
