"""The number to report: layer and penalty chosen without the problems it is measured on.

For every test fold, layer and penalty are those of the highest AUROC on the other folds, of probes that have seen
neither (inner cross-validation). What is measured on the fold then has no part in any choice, so it is not the maximum
of many noisy figures, as the AUROC of "the best layer" is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from ..stats import Interval
from .layer_fit import Core, best
from .metrics import (
    Bin,
    Worth,
    auroc_given_probes,
    calibration,
    concordance,
    worth,
)
from .metrics._concordance import Matrix


@dataclass(frozen=True, eq=False, kw_only=True)
class Nested:
    """A behaviour's probe with layer and penalty chosen on inner folds; 95% intervals over problems."""

    auroc: Interval
    worth: Worth
    calibration: tuple[Bin, ...]  # empty where scores are no log odds
    layers: tuple[int, ...]  # chosen for each fold
    penalties: tuple[float, ...]


def choose(
    cores: Sequence[Core], behaviour: int, folds: Int[np.ndarray, " n_examples"]
) -> tuple[Float[np.ndarray, " n_examples"], list[tuple[int, int]]]:
    """Out-of-fold scores of a behaviour (by number), and the layer's and penalty's place chosen for each fold."""
    inner = np.stack([core.inner[behaviour] for core in cores])  # (layer, penalty, fold)
    n_penalties = inner.shape[1]
    scores = np.empty(len(folds))
    places = []
    for fold, place in enumerate(best(inner.reshape(-1, inner.shape[2]).T).tolist()):
        layer, penalty = divmod(place, n_penalties)
        scores[folds == fold] = cores[layer].scores[behaviour, penalty, folds == fold]
        places.append((layer, penalty))
    return scores, places


def nested(
    cores: Sequence[Core],
    behaviour: int,
    positive: Bool[np.ndarray, " n_examples"],
    problems: Int[np.ndarray, " n_examples"],
    folds: Int[np.ndarray, " n_examples"],
    counts: Matrix,
    *,
    layers: Sequence[int],
    penalties: Sequence[float],
    are_log_odds: bool,
) -> Nested:
    """All figures of a behaviour's nested scores."""
    scores, places = choose(cores, behaviour, folds)
    given: dict[str, Any] = {"are_log_odds": are_log_odds}
    return Nested(
        auroc=auroc_given_probes(concordance(scores, positive, problems, folds), counts),
        worth=worth(scores, positive, problems, folds, counts, **given),
        calibration=tuple(calibration(scores, positive, problems, counts)) if are_log_odds else (),
        layers=tuple(layers[layer] for layer, _ in places),
        penalties=tuple(penalties[penalty] for _, penalty in places),
    )
