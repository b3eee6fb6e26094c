"""Batches by token budget over length-sorted texts, so that little of a batch is padding and memory stays flat."""

from __future__ import annotations

from collections.abc import Sequence


def batches(lengths: Sequence[int], tokens_per_batch: int) -> list[list[int]]:
    """Indices of the texts of each batch, longest texts first.

    A batch padded to its longest text holds at most `tokens_per_batch` tokens; a text longer than that is alone in its
    batch. Longest first means that a budget which does not fit into memory fails at once and not after an hour.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    result: list[list[int]] = []
    for index in order:
        if result and lengths[result[-1][0]] * (len(result[-1]) + 1) <= tokens_per_batch:
            result[-1].append(index)
        else:
            result.append([index])
    return result
