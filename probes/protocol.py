"""Everything about a sweep but the activations: who is trained on, who is tested, with which labels and penalties.

Rows lie in cells: their test fold (problems are never cut) crossed with a second one drawn without regard to problems,
which serves to show the leak of a naive split. Training subsets are unions of cells:

    outer f      all problems but those of fold f                    scores that are reported
    inner f, g   all but those of folds f and g                      choose penalty and layer for f by g, and for g by f
    naive f      all rows but those of the second fold f             what a split through problems would have claimed
    everything                                                       the probes that are saved
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
class Held:
    """A phrasing of a behaviour that is left out of training and then tested."""

    behaviour: int
    phrasing: str
    spans: Bool[np.ndarray, " n_examples"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Protocol:
    """One for all layers."""

    shows: Bool[np.ndarray, "n_behaviours n_examples"]
    folds: Int[np.ndarray, " n_examples"]
    naive_folds: Int[np.ndarray, " n_examples"]
    n_folds: int
    method: Method
    penalties: tuple[float, ...]  # strongest first: of equals the strongest is taken
    shuffled: Bool[np.ndarray, "n_shuffles n_behaviours n_examples"]
    tasks: Bool[np.ndarray, "n_tasks n_examples"]  # labels of control tasks
    held: tuple[Held, ...]
    permuted: Int[np.ndarray, "n_permutations n_examples"]  # row orders
    device: torch.device
    dtype: torch.dtype = torch.float32

    @property
    def cell(self) -> Int[np.ndarray, " n_examples"]:
        found: np.ndarray[Any, np.dtype[np.int64]] = self.folds * self.n_folds + self.naive_folds
        return found

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        return list(combinations(range(self.n_folds), 2))

    @cached_property
    def subsets(self) -> Bool[np.ndarray, "n_subsets n_cells"]:
        """Outer, then inner (as `pairs`), then naive, then everything."""
        fold, naive = np.divmod(np.arange(self.n_folds**2), self.n_folds)
        rows = [fold != f for f in range(self.n_folds)]
        rows += [(fold != f) & (fold != g) for f, g in self.pairs]
        rows += [naive != f for f in range(self.n_folds)]
        return np.stack([*rows, np.ones_like(fold, dtype=bool)])

    @property
    def outer(self) -> list[int]:
        return list(range(self.n_folds))

    @property
    def inner(self) -> list[int]:
        return [self.n_folds + number for number in range(len(self.pairs))]

    @property
    def naive(self) -> list[int]:
        return [self.n_folds + len(self.pairs) + f for f in range(self.n_folds)]

    @property
    def everything(self) -> int:
        return 2 * self.n_folds + len(self.pairs)
