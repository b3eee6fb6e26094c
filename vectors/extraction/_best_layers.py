"""Choose the layer at which each behaviour's direction is best determined, and gather its scores there."""

from __future__ import annotations

import math
from typing import Any

from .._directions import Directions


def best_layers(directions: Directions) -> dict[str, dict[str, Any]]:
    """Choose the best layer of each behaviour from the scores that the directions hold.

    The best layer has the least held-out loss, else the highest cosine between disjoint halves of the problems, else
    the longest vector in units of the residual norm, whichever of these is available first.

    Args:
        directions: Directions with or without scores.

    Returns:
        For each behaviour: `layer`, `norm` (length of the vector in units of the residual norm, None where that is not
        known), `n_spans`, `n_problems`, and every score at that layer.
    """
    rows = {}
    for behaviour in directions.behaviours:
        scores = directions.scores.get(behaviour, {})
        relative_norms = [
            float(vector.norm()) / norm if norm and not math.isnan(norm) else None
            for vector, norm in zip(directions.vectors[behaviour], directions.residual_norm, strict=True)
        ]
        if "held_out_loss" in scores:
            best = min(range(len(relative_norms)), key=lambda index: scores["held_out_loss"][index])
        else:
            layer_scores = scores.get("half_cosine") or [norm or 0.0 for norm in relative_norms]
            best = max(range(len(relative_norms)), key=lambda index: layer_scores[index])
        scores_at_best = {name: layer_values[best] for name, layer_values in scores.items()}
        rows[behaviour] = {
            "layer": directions.layers[best],
            "norm": relative_norms[best],
            "n_spans": directions.n_examples.get(behaviour),
            "n_problems": directions.n_problems,
            **scores_at_best,
        }
    return rows
