"""Divide texts into batches by a token budget, in the order of their length, so that little of a batch is padding.

A batch is either plain (every text is one row) or shared (groups of texts with common prefixes). The longest texts come
first: a budget that does not fit into memory fails at once, not after an hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .prefixes import Group


@dataclass(frozen=True, slots=True)
class Batch:
    """Groups of texts that run together; plain if they share no prefix."""

    groups: tuple[Group, ...]

    @property
    def texts(self) -> list[int]:
        """The texts of all groups."""
        return [text for group in self.groups for text in group.texts]

    @property
    def is_shared(self) -> bool:
        """Whether the groups share prefixes."""
        return self.groups[0].n_prefix > 0


def batches(lengths: Sequence[int], tokens_per_batch: int, cost_tokens: int = 64) -> list[list[int]]:
    """Divide rows into batches with the least work, longest rows first.

    A batch padded to its longest row holds at most `tokens_per_batch` tokens; a row longer than that is alone in its
    batch. The work is the padded tokens of all batches, plus `cost_tokens` for each batch. In the order of length, the
    best division into neighbours is found by dynamic programming.

    Args:
        lengths: The number of tokens of each row.
        tokens_per_batch: The largest number of padded tokens in a batch.
        cost_tokens: What a batch costs in addition to its tokens, in tokens.

    Returns:
        The row numbers of each batch.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    widths = np.array([lengths[index] for index in order], dtype=np.int64)
    work = np.zeros(len(order) + 1)  # the least work for the first rows
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
    groups: Sequence[Group], lengths: Sequence[int], tokens_per_batch: int, cost_tokens: int = 64
) -> list[Batch]:
    """Divide groups into batches: plain texts by their lengths, then sharing groups by the lengths of their prefixes.

    Groups with a part that is longer than a batch are dissolved, since only plain texts can be run in parts.
    """
    alone, sharing = [], []
    for group in groups:
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
