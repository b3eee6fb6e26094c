"""Compute the number to report: layer and penalty are chosen without the problems that it is measured on.

For every test fold, layer and penalty are those with the highest AUROC on the other folds (inner cross-validation). The
test fold has no part in the choice, so the result is not the maximum of many noisy figures, as the AUROC of "the best
layer" is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from ..rundir import brief
from ..stats import Interval
from .core import Core
from .metrics import Bin, CrossValidated, SecondaryMetrics, best_candidate, calibration, secondary_metrics
from .metrics._concordance import Matrix


@dataclass(frozen=True, eq=False, kw_only=True)
class Nested:
    """A behaviour's probe with layer and penalty chosen on inner folds; 95% intervals of the whole procedure."""

    auroc: Interval
    metrics: SecondaryMetrics
    calibration: tuple[Bin, ...]  # empty if scores are no log odds
    layers: tuple[int, ...]  # chosen for each fold
    penalties: tuple[float, ...]  # chosen for each fold

    __repr__ = brief


def choose(
    cores: Sequence[Core], behaviour: int, folds: Int[np.ndarray, " n_examples"]
) -> tuple[Float[np.ndarray, " n_examples"], list[tuple[int, int]]]:
    """Choose layer (or baseline) and penalty of each fold by the others.

    Args:
        cores: The cross-validation of each layer.
        behaviour: The number of the behaviour.
        folds: The fold of each example.

    Returns:
        Out-of-fold scores, and for each fold the indices of the layer and of its penalty.
    """
    candidates = [(layer, penalty) for layer, core in enumerate(cores) for penalty in range(core.scores.shape[1])]
    chosen = best_candidate(
        np.concatenate([core.inner_wins[behaviour].sum(axis=2) for core in cores]),
        np.concatenate([core.inner_pairs[behaviour].sum(axis=2) for core in cores]),
    )
    choices = [candidates[index] for index in chosen]
    scores = np.empty(len(folds))
    for fold, (layer, penalty) in enumerate(choices):
        scores[folds == fold] = cores[layer].scores[behaviour, penalty, folds == fold]
    return scores, choices


def nested(
    cross_validated: CrossValidated,
    scores: Float[np.ndarray, " n_examples"],
    choices: Sequence[tuple[int, int]],
    positive: Bool[np.ndarray, " n_examples"],
    problems: Int[np.ndarray, " n_examples"],
    folds: Int[np.ndarray, " n_examples"],
    counts: Matrix,
    *,
    layers: Sequence[int],
    penalties: Sequence[float],
    are_log_odds: bool,
) -> Nested:
    """Compute all figures of a behaviour's nested scores, which `choose` returned."""
    return Nested(
        auroc=cross_validated.interval(),
        metrics=secondary_metrics(
            scores,
            positive,
            problems,
            folds,
            counts,
            are_log_odds=are_log_odds,
            widening=cross_validated.widening,
        ),
        calibration=tuple(calibration(scores, positive, problems, counts)) if are_log_odds else (),
        layers=tuple(layers[layer] for layer, _ in choices),
        penalties=tuple(penalties[penalty] for _, penalty in choices),
    )
