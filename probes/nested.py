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
from .layer_fit import Core, best
from .metrics import Bin, CrossValidated, SecondaryMetrics, calibration, secondary_metrics
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
    """Choose layer and penalty of each fold; return out-of-fold scores and the two indices for each fold."""
    inner = np.stack([core.inner[behaviour] for core in cores])  # (n_layers, n_penalties, n_folds)
    n_penalties = inner.shape[1]
    scores = np.empty(len(folds))
    choices = []
    for fold, index in enumerate(best(inner.reshape(-1, inner.shape[2]).T).tolist()):
        layer, penalty = divmod(index, n_penalties)
        scores[folds == fold] = cores[layer].scores[behaviour, penalty, folds == fold]
        choices.append((layer, penalty))
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
