"""Group texts with a common prefix, so that the prefix runs once.

Sorted by their tokens, texts that share a prefix are neighbours. The cheapest division into groups of neighbours is
found by dynamic programming: a group of k texts with a common prefix of p tokens saves (k - 1) p tokens, and costs a
little for each of its texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

MAX_GROUP = 64
MIN_PREFIX_TOKENS = 16  # a shorter prefix is not worth a second pass
COST_TOKENS = 8  # what a text's second pass costs, in tokens


@dataclass(frozen=True, slots=True)
class Group:
    """Texts whose first `n_prefix` tokens are the same; each has more tokens than that."""

    texts: tuple[int, ...]
    n_prefix: int


def groups(texts: Sequence[Int[np.ndarray, " n_tokens"]]) -> list[Group]:
    """Group the texts; one without a prefix worth sharing is alone in its group, with n_prefix 0."""
    order = sorted(range(len(texts)), key=lambda text: texts[text].astype(">i8").tobytes())
    shared = [_n_shared(texts[one], texts[other]) for one, other in zip(order, order[1:], strict=False)]
    n = len(order)
    saved = [0] * (n + 1)  # the most tokens that the first texts can save
    begins = [0] * (n + 1)  # where the last group of that division begins
    for end in range(1, n + 1):
        saved[end], begins[end] = saved[end - 1], end - 1
        n_prefix = len(texts[order[end - 1]]) - 1
        for begin in range(end - 2, max(-1, end - 1 - MAX_GROUP), -1):
            n_prefix = min(n_prefix, shared[begin], len(texts[order[begin]]) - 1)
            if n_prefix < MIN_PREFIX_TOKENS:
                break
            k = end - begin
            gain = saved[begin] + (k - 1) * n_prefix - k * COST_TOKENS
            if gain > saved[end]:
                saved[end], begins[end] = gain, begin
    result: list[Group] = []
    end = n
    while end:
        members = order[begins[end] : end]
        n_prefix = min([len(texts[text]) - 1 for text in members] + shared[begins[end] : end - 1])
        result.append(Group(tuple(members), n_prefix if len(members) > 1 else 0))
        end = begins[end]
    return result


def _n_shared(one: Int[np.ndarray, " n"], other: Int[np.ndarray, " m"]) -> int:
    n = min(len(one), len(other))
    differs = np.flatnonzero(one[:n] != other[:n])
    return int(differs[0]) if len(differs) else n
