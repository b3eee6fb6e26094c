"""Choosing layer, dose and threshold on validation problems, and keeping the whole grid to be seen.

The layer and dose of the highest accuracy; of equals the one that steers fewer tokens, then the smaller dose. Then the
threshold of the probe gate in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from .arms import Tuned, plan_of
from .decode import Plan
from .record import RowRecord
from .settings import HybridSettings
from .training import Parts

# Decodes the validation problems by a plan: what was written, and whether it is right.
Trial = Callable[[str, Plan], tuple[list[RowRecord], Sequence[bool]]]


def tune(parts: Parts, layers: Sequence[int], settings: HybridSettings, trial: Trial) -> tuple[Tuned, pd.DataFrame]:
    """What does best, and every cell that was tried: arm, layer, dose, threshold, accuracy, share of tokens steered."""
    rows: list[dict[str, Any]] = []

    def tried(arm: str, tuned: Tuned) -> dict[str, Any]:
        records, solved = trial(arm, plan_of(arm, parts, tuned))
        row = {
            "arm": arm,
            "layer": tuned.layer,
            "dose": tuned.dose,
            "threshold": tuned.threshold if arm == "probe-gated" else None,
            "accuracy": float(np.mean(solved)),
            "steered": sum(each.n_gated for each in records) / max(sum(each.n_tokens for each in records), 1),
            "n": len(solved),
        }
        rows.append(row)
        return row

    def worth(row: dict[str, Any]) -> tuple[float, float, float]:
        return row["accuracy"], -row["steered"], -row["dose"]

    grid = [
        tried("hybrid", Tuned(layer=layer, dose=dose, threshold=0.0)) for layer in layers for dose in settings.doses
    ]
    best = max(grid, key=worth)
    gates = [
        tried("probe-gated", Tuned(layer=best["layer"], dose=best["dose"], threshold=threshold))
        for threshold in settings.thresholds
    ]
    threshold = max(gates, key=worth)["threshold"]
    return Tuned(layer=best["layer"], dose=best["dose"], threshold=threshold), pd.DataFrame(rows)
