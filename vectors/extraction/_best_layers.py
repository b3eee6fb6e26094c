"""Which layer of each behaviour's direction is best determined, and what is known there."""

from __future__ import annotations

import math
from typing import Any

from ..directions import Directions


def best_layers(found: Directions) -> dict[str, dict[str, Any]]:
    """For each behaviour its best layer and what is known there.

    Best: least held-out loss, most alike halves, or longest in units of the residual norm, whichever is there first.
    """
    rows = {}
    for behaviour in found.behaviours:
        scores = found.scores.get(behaviour, {})
        norms = [
            float(vector.norm()) / norm if norm and not math.isnan(norm) else None
            for vector, norm in zip(found.vectors[behaviour], found.residual_norm, strict=True)
        ]
        if "held_out_loss" in scores:
            best = min(range(len(norms)), key=lambda place: scores["held_out_loss"][place])
        else:
            ranked = scores.get("half_cosine") or [norm or 0.0 for norm in norms]
            best = max(range(len(norms)), key=lambda place: ranked[place])
        figures = {name: values[best] for name, values in scores.items()}
        rows[behaviour] = {
            "layer": found.layers[best],
            "norm": norms[best],
            "n_spans": found.n_examples.get(behaviour),
            "n_problems": found.n_problems,
            **figures,
        }
    return rows
