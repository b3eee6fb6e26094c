"""Batches by token budget over length-sorted texts, so that little of a batch is padding and memory stays flat.

A batch is either plain (every text in one row) or shared (groups of texts with common prefixes). Longest first: a
budget that does not fit into memory fails at once and not after an hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .prefixes import Group


@dataclass(frozen=True, slots=True)
class Batch:
    """Groups of texts that go through the model together; plain if nothing in them is shared."""

    groups: tuple[Group, ...]

    @property
    def texts(self) -> list[int]:
        return [text for group in self.groups for text in group.texts]

    @property
    def is_shared(self) -> bool:
        return self.groups[0].n_prefix > 0


def batches(lengths: Sequence[int], tokens_per_batch: int, cost_tokens: int = 64) -> list[list[int]]:
    """Indices of the rows of each batch, longest rows first, such that the work is least.

    A batch padded to its longest row holds at most `tokens_per_batch` tokens; a row longer than that is alone in its
    batch. The work is the padded tokens of all batches, and `cost_tokens` for each batch. In the order of length, the
    best division into neighbours is found by dynamic programming.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    widths = np.array([lengths[index] for index in order], dtype=np.int64)
    work = np.zeros(len(order) + 1)  # the least for the first rows
    begins = np.zeros(len(order) + 1, dtype=np.int64)  # where the last batch of that division begins
    earliest = 0
    for end in range(1, len(order) + 1):
        while earliest < end - 1 and widths[earliest] * (end - earliest) > tokens_per_batch:
            earliest += 1
        n_rows = end - np.arange(earliest, end)
        choices = work[earliest:end] + widths[earliest:end] * n_rows
        best = int(choices.argmin())
        work[end], begins[end] = choices[best] + cost_tokens, earliest + best
    result: list[list[int]] = []
    end = len(order)
    while end:
        result.append(order[begins[end] : end])
        end = int(begins[end])
    return result[::-1]


def batches_of_groups(
    found: Sequence[Group], lengths: Sequence[int], tokens_per_batch: int, cost_tokens: int = 64
) -> list[Batch]:
    """Plain texts by their lengths, then groups that share by the lengths of what they share.

    Groups of which a part is longer than a batch are dissolved: only plain texts go in parts.
    """
    alone, sharing = [], []
    for group in found:
        longest = max(group.n_prefix, max(lengths[text] for text in group.texts) - group.n_prefix)
        if group.n_prefix and longest <= tokens_per_batch:
            sharing.append(group)
        else:
            alone += [Group((text,), 0) for text in group.texts]
    plain = batches([lengths[group.texts[0]] for group in alone], tokens_per_batch, cost_tokens)
    shared = batches([group.n_prefix for group in sharing], tokens_per_batch, cost_tokens)
    return [
        *(Batch(tuple(alone[index] for index in batch)) for batch in plain),
        *(Batch(tuple(sharing[index] for index in batch)) for batch in shared),
    ]
