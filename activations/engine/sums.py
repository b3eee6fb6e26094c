"""Sum rows of activations over segments, on their device and in float32.

1. Two bags, the way that everything is compared with: rows in float32, summed over the runs of the layout, then runs
   over segments.
2. One product, for half precision on a GPU: runs never cross a multiple of 64 rows, so that the sums of a block of 64
   rows are a product of its 0/1 matrix (run, row) with the block, accumulated in float32. Rows are read as they are, in
   half the bytes, and not copied. No GPU has run it yet; `BY_PRODUCT = True` turns it on.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import embedding_bag, pad

from .segments import MAX_RUN, Layout
from .transfer import to_device

BY_PRODUCT = False  # sum half precision on a GPU by a product instead of by bags

Reader = Callable[[Tensor, Tensor, Tensor], None]  # adds rows of activations to sums and to norms
_Sum = Callable[[Float[Tensor, "n_rows width"]], Float[Tensor, "n_segments width"]]


def reader(where: Layout, device: torch.device, dtype: torch.dtype, n_rows: int) -> Reader:
    """Make what adds the rows of a pass to the sums and norms of its segments.

    Args:
        where: The layout of the segments in the pass.
        device: Where the activations are.
        dtype: Their precision.
        n_rows: The number of rows of the pass.

    Returns:
        The reader; its indices are on the device.
    """
    segments = to_device(where.segments, device)
    by_bags = _bags(where, device)
    by_product = None
    if BY_PRODUCT and device.type == "cuda" and dtype in (torch.bfloat16, torch.float16):
        by_product = product(where, device, dtype, n_rows)

    def read(
        rows: Float[Tensor, "n_rows d_model"],
        sums: Float[Tensor, "n_segments d_model"],
        norms: Float[Tensor, " n_segments"],
    ) -> None:
        if by_product is not None and rows.dtype == dtype:
            sums.index_add_(0, segments, by_product(rows))
        else:
            sums.index_add_(0, segments, by_bags(rows.float()))
        norm = torch.linalg.vector_norm(rows, dim=-1, keepdim=True, dtype=torch.float32)
        norms.index_add_(0, segments, by_bags(norm).squeeze(-1))

    return read


def _bags(where: Layout, device: torch.device) -> _Sum:
    positions, run_starts, runs, segment_starts = (
        to_device(array, device) for array in (where.positions, where.run_starts, where.runs, where.segment_starts)
    )

    def segment_sums(rows: Float[Tensor, "n_rows width"]) -> Float[Tensor, "n_segments width"]:
        run_sums = embedding_bag(positions, rows, run_starts, mode="sum")
        return embedding_bag(runs, run_sums, segment_starts, mode="sum")

    return segment_sums


def product(where: Layout, device: torch.device, dtype: torch.dtype, n_rows: int) -> _Sum:
    """Make the sum by products with 0/1 matrices, one for each block of 64 rows that is read.

    Args:
        where: The layout of the segments.
        device: Where the rows are.
        dtype: Their precision.
        n_rows: How many there are.

    Returns:
        The sum of rows over segments.
    """
    matrices, slots = _matrices(where, -(-n_rows // MAX_RUN))
    members, run_slots, segment_starts = (
        to_device(array, device) for array in (matrices, slots[where.runs], where.segment_starts)
    )
    members = members.to(dtype)
    n_whole = n_rows // MAX_RUN

    def segment_sums(rows: Float[Tensor, "n_rows d_model"]) -> Float[Tensor, "n_segments d_model"]:
        blocks = rows[: n_whole * MAX_RUN].view(n_whole, MAX_RUN, rows.shape[-1])
        run_sums = _product_in_float32(members[:n_whole], blocks)  # (n_blocks, n_slots, d_model)
        rest = rows[n_whole * MAX_RUN :]
        if len(rest):
            last = pad(rest, (0, 0, 0, MAX_RUN - len(rest)))[None]
            run_sums = torch.cat([run_sums, _product_in_float32(members[n_whole:], last)])
        return embedding_bag(run_slots, run_sums.flatten(0, 1), segment_starts, mode="sum")

    return segment_sums


def _matrices(
    where: Layout, n_blocks: int
) -> tuple[Int[np.ndarray, "n_blocks n_slots 64"], Int[np.ndarray, " n_runs"]]:
    """Say which rows of each block belong to each of its runs: 0/1 matrices, and the place of each run among them."""
    lengths = np.diff(np.append(where.run_starts, len(where.positions)))
    block = where.positions[where.run_starts] // MAX_RUN  # of each run
    n_runs = np.bincount(block, minlength=n_blocks)
    order = np.argsort(block, kind="stable")
    slot = np.empty(len(lengths), dtype=np.int64)
    slot[order] = np.arange(len(lengths)) - (np.cumsum(n_runs) - n_runs)[block[order]]
    matrices = np.zeros((n_blocks, int(n_runs.max()), MAX_RUN), dtype=np.int8)
    run_of_position = np.repeat(np.arange(len(lengths)), lengths)
    matrices[block[run_of_position], slot[run_of_position], where.positions % MAX_RUN] = 1
    return matrices, block * matrices.shape[1] + slot


def _product_in_float32(
    members: Float[Tensor, "n_blocks n_slots 64"], rows: Float[Tensor, "n_blocks 64 d_model"]
) -> Float[Tensor, "n_blocks n_slots d_model"]:
    """Compute a product of half precision with sums in float32; the CPU has no such product, and takes float32."""
    if members.is_cuda:
        return torch.bmm(members, rows, out_dtype=torch.float32)
    return torch.bmm(members.float(), rows.float())
