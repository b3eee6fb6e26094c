"""Hold the cross-validation of one layer: what penalty and layer are chosen by, and the scores to report.

For every outer fold the penalty (and, over several layers, the layer) is chosen by the pairs that the inner probes,
trained without that fold and one more, rank correctly on the fold left out besides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from .metrics import training_changes

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Core:
    """The cross-validation of one layer: AUROCs that decide penalty and layer, and the scores to report."""

    scores: Float[np.ndarray, "n_behaviours n_penalties n_examples"]  # out of fold, float32
    wins: Float[np.ndarray, "n_behaviours n_penalties n_folds"]  # correctly ranked pairs of each test fold
    pairs: Float[np.ndarray, "n_behaviours n_penalties n_folds"]
    inner_wins: Float[np.ndarray, "n_behaviours n_penalties n_folds n_folds"]  # of the last fold, without the other
    inner_pairs: Float[np.ndarray, "n_behaviours n_penalties n_folds n_folds"]

    @cached_property
    def inner(self) -> Float[np.ndarray, "n_behaviours n_penalties n_folds"]:
        """The AUROC on the other folds, without this one."""
        return _share(self.inner_wins.sum(axis=3), self.inner_pairs.sum(axis=3))

    @cached_property
    def overall(self) -> Float[np.ndarray, "n_behaviours n_penalties"]:
        """The AUROC on all folds."""
        return _share(self.wins.sum(axis=2), self.pairs.sum(axis=2))

    @property
    def best_penalty(self) -> Int[np.ndarray, " n_behaviours"]:
        """The index of the best penalty over all folds: for probes that are saved, and for controls."""
        return best(self.overall)

    @property
    def inner_penalty(self) -> Int[np.ndarray, "n_behaviours n_folds"]:
        """The index of the best penalty of every fold, by the other folds."""
        return best(self.inner.transpose(0, 2, 1))

    def reported(self, folds: Int[np.ndarray, " n_examples"]) -> Float[np.ndarray, "n_behaviours n_examples"]:
        """Return out-of-fold scores, with the penalty of each fold chosen on the other folds."""
        chosen = self.inner_penalty[:, folds]  # (n_behaviours, n_examples)
        scores: Array = np.take_along_axis(self.scores, chosen[:, None], axis=1)[:, 0]
        return scores

    def changes(self, behaviour: int) -> Float[np.ndarray, " n_folds"]:
        """Return the changes of a reported AUROC if one more fold is left out of the training (`expected.py`)."""
        return changes_over([self], behaviour)


def changes_over(cores: Sequence[Core], behaviour: int) -> Float[np.ndarray, " n_folds"]:
    """Return the changes of an AUROC whose layer and penalty are chosen if one more fold is left out.

    Args:
        cores: The cross-validation of each layer that is chosen from.
        behaviour: The number of the behaviour.

    Returns:
        One change for each fold (`expected.training_changes`).
    """
    return training_changes(
        np.concatenate([core.wins[behaviour] for core in cores]),
        np.concatenate([core.pairs[behaviour] for core in cores]),
        np.concatenate([core.inner_wins[behaviour] for core in cores]),
        np.concatenate([core.inner_pairs[behaviour] for core in cores]),
    )


def best(aurocs: Float[np.ndarray, "... n"]) -> Int[np.ndarray, " ..."]:
    """Find the first of the highest along the last axis; 0 where all are NaN."""
    index: np.ndarray[Any, np.dtype[np.int64]] = np.nan_to_num(aurocs, nan=-1.0).argmax(axis=-1)
    return index


def _share(wins: Array, pairs: Array) -> Array:
    shares: Array = np.divide(wins, pairs, out=np.full(wins.shape, np.nan), where=pairs > 0)
    return shares
