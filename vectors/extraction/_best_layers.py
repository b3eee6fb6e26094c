"""Choose one layer of each behaviour's direction, by the best score that the directions hold, and gather its scores.

Where they hold AUROCs (those of `locate`), it is the best layer in the sense of `probes.best_layer`: the one of the
highest cross-validated AUROC. Directions alone do not say how well a behaviour can be read, so that others are chosen
by what is known, and the row says by what.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...probes.best_layer import best_slot
from .._directions import Directions

AUROC, LOSS, HALVES, NORM = "auroc", "stopping_loss", "half_cosine", "norm"


def best_layers(directions: Directions) -> dict[str, dict[str, Any]]:
    """Choose a layer of each behaviour from the scores that the directions hold.

    It is the layer of the highest AUROC, else of the least stopping loss, else of the highest cosine between disjoint
    halves of the problems, else of the longest vector in units of the residual norm, whichever is available first.

    Args:
        directions: Directions with or without scores.

    Returns:
        For each behaviour: `layer`, `chosen_by` ("auroc", "stopping_loss", "half_cosine" or "norm"), `norm` (length of
        the vector in units of the residual norm, None where that is not known), `n_spans` and `n_problems` that show
        the behaviour (None where not known), and every score at that layer.
    """
    rows = {}
    for behaviour in directions.behaviours:
        scores = directions.scores.get(behaviour, {})
        relative_norms = [
            float(vector.norm()) / norm if norm and not math.isnan(norm) else None
            for vector, norm in zip(directions.vectors[behaviour], directions.residual_norm, strict=True)
        ]
        chosen_by = next((score for score in (AUROC, LOSS, HALVES) if score in scores), NORM)
        values = [norm or 0.0 for norm in relative_norms] if chosen_by == NORM else scores[chosen_by]
        best = best_slot(np.array([values], dtype=np.float64) * (-1 if chosen_by == LOSS else 1))
        rows[behaviour] = {
            "layer": directions.layers[best],
            "chosen_by": chosen_by,
            "norm": relative_norms[best],
            "n_spans": directions.n_examples.get(behaviour),
            "n_problems": directions.n_problems_showing.get(behaviour),
            **{name: layer_values[best] for name, layer_values in scores.items()},
        }
    return rows
