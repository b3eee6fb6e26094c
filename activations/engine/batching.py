"""Batches by token budget over length-sorted texts, so that little of a batch is padding and memory stays flat.

A batch is either plain (every text in one row) or shared (groups of texts with common prefixes). Longest first: a
budget that does not fit into memory fails at once and not after an hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


def batches(lengths: Sequence[int], tokens_per_batch: int) -> list[list[int]]:
    """Indices of the rows of each batch, longest rows first.

    A batch padded to its longest row holds at most `tokens_per_batch` tokens; a row longer than that is alone in its
    batch.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    result: list[list[int]] = []
    for index in order:
        if result and lengths[result[-1][0]] * (len(result[-1]) + 1) <= tokens_per_batch:
            result[-1].append(index)
        else:
            result.append([index])
    return result


def batches_of_groups(found: Sequence[Group], lengths: Sequence[int], tokens_per_batch: int) -> list[Batch]:
    """Plain texts by their lengths, then groups that share by the lengths of what they share."""
    alone = [group for group in found if not group.n_prefix]
    sharing = [group for group in found if group.n_prefix]
    plain = batches([lengths[group.texts[0]] for group in alone], tokens_per_batch)
    shared = batches([group.n_prefix for group in sharing], tokens_per_batch)
    return [
        *(Batch(tuple(alone[index] for index in batch)) for batch in plain),
        *(Batch(tuple(sharing[index] for index in batch)) for batch in shared),
    ]
