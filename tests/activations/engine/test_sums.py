"""Sums of half precision by products are those of the bags and of plain loops, whatever the segments and rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reasonlens.activations.engine.segments import layout
from reasonlens.activations.engine.sums import product, reader

CPU = torch.device("cpu")


@pytest.mark.parametrize("n_rows", [40, 64, 300, 448])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_product_sums_what_bags_and_loops_sum(n_rows: int, dtype: torch.dtype) -> None:
    random = np.random.default_rng(n_rows)
    first = random.integers(0, n_rows - 4, 30)
    stop = np.minimum(first + random.integers(1, 150, 30), n_rows)
    segment, group = np.arange(30) // 2, random.integers(0, 3, 15)[np.arange(30) // 2]  # two intervals each
    where = layout(segment, first, stop, group)
    assert where is not None
    rows = torch.randn(n_rows, 8, generator=torch.Generator().manual_seed(1)).to(dtype)
    sums = torch.zeros(15, 8)
    sums.index_add_(0, torch.from_numpy(where.segments), product(where, CPU, dtype, n_rows)(rows))
    by_bags, norms = torch.zeros(15, 8), torch.zeros(15)
    reader(where, CPU, dtype, n_rows)(rows, by_bags, norms)
    exact = torch.zeros(15, 8, dtype=torch.float64)
    for number, start, end in zip(segment, first, stop, strict=True):
        read = np.zeros(n_rows, dtype=bool)
        read[start:end] = True
        exact[number] += rows[read].double().sum(0)
    torch.testing.assert_close(sums.double(), exact, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(by_bags, sums, rtol=1e-5, atol=1e-4)
