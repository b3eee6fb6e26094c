"""Define a sweep apart from its activations: which rows are trained on and tested, with which labels and penalties.

Each row is in a cell: its test fold (problems are never cut) crossed with a second fold that ignores problems and shows
the leak of a naive split. Training subsets are unions of cells:

    outer f      all problems but those of fold f                    scores that are reported
    inner f, g   all but those of folds f and g                      choose penalty and layer for f by g, and for g by f
    naive f      all rows but those of the second fold f             what a split through problems would have claimed
    all rows                                                         the probes that are saved
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int

from .solver import Method


@dataclass(frozen=True, eq=False, kw_only=True)
class HeldOutPhrasing:
    """A phrasing of a behaviour that is left out of training and then tested."""

    behaviour: int  # its number in the protocol
    phrasing: str
    spans: Bool[np.ndarray, " n_examples"]  # the spans with this phrasing


@dataclass(frozen=True, eq=False, kw_only=True)
class Protocol:
    """The labels, folds and penalties of a sweep, the same for all layers."""

    shows: Bool[np.ndarray, "n_behaviours n_examples"]
    folds: Int[np.ndarray, " n_examples"]
    naive_folds: Int[np.ndarray, " n_examples"]
    n_folds: int
    method: Method
    penalties: tuple[float, ...]  # strongest first; among equals the strongest is chosen
    shuffled: Bool[np.ndarray, "n_shuffles n_behaviours n_examples"]
    tasks: Bool[np.ndarray, "n_tasks n_examples"]  # labels of control tasks
    held_out: tuple[HeldOutPhrasing, ...]
    permuted: Int[np.ndarray, "n_permutations n_examples"]  # row orders
    device: torch.device
    dtype: torch.dtype = torch.float32

    @property
    def cell(self) -> Int[np.ndarray, " n_examples"]:
        """The cell of each row."""
        cell: np.ndarray[Any, np.dtype[np.int64]] = self.folds * self.n_folds + self.naive_folds
        return cell

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """The pairs of folds that the inner subsets leave out."""
        return list(combinations(range(self.n_folds), 2))

    @cached_property
    def subsets(self) -> Bool[np.ndarray, "n_subsets n_cells"]:
        """The cells of each training subset: outer, then inner (in the order of `pairs`), then naive, then all rows."""
        fold, naive = np.divmod(np.arange(self.n_folds**2), self.n_folds)
        rows = [fold != f for f in range(self.n_folds)]
        rows += [(fold != f) & (fold != g) for f, g in self.pairs]
        rows += [naive != f for f in range(self.n_folds)]
        return np.stack([*rows, np.ones_like(fold, dtype=bool)])

    @property
    def outer(self) -> list[int]:
        """The numbers of the outer subsets."""
        return list(range(self.n_folds))

    @property
    def inner(self) -> list[int]:
        """The numbers of the inner subsets."""
        return [self.n_folds + number for number in range(len(self.pairs))]

    @property
    def naive(self) -> list[int]:
        """The numbers of the naive subsets."""
        return [self.n_folds + len(self.pairs) + f for f in range(self.n_folds)]

    @property
    def all_rows(self) -> int:
        """The number of the subset of all rows."""
        return 2 * self.n_folds + len(self.pairs)
