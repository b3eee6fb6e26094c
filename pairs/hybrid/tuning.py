"""Choosing layer, strength and threshold on validation problems, and keeping the whole grid to be seen.

1. The layer and strength of the highest accuracy; of equals the one that steers fewer tokens, then the weaker.
2. Where each behaviour has a strength of its own: one behaviour after the other, the others staying as they are.
3. The threshold of the probe gate in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from ...rundir.progress import ProgressBar
from ._decode import Plan
from .arms import Tuned, plan_of
from .kept import Lines
from .parts import Parts
from .record import RowRecord
from .settings import HybridSettings

# Decodes the validation problems by a plan: what was written, and whether it is right.
Trial = Callable[[str, Plan], tuple[list[RowRecord], Sequence[bool]]]


def tune(
    parts: Parts,
    layers: Sequence[int],
    settings: HybridSettings,
    trial: Trial,
    *,
    kept: Lines | None = None,
    desc: str = "",
    progress: bool = False,
) -> tuple[Tuned, pd.DataFrame]:
    """What does best, and every cell that was tried: arm, layer, strength, threshold, accuracy, share steered.

    kept: file of cells that are known already, which grows by those that are tried.
    """
    n = len(layers) * len(settings.strengths) + len(settings.thresholds)
    if settings.strength == "per-behaviour":
        n += len(parts.behaviours) * (len(settings.strengths) - 1)
    with ProgressBar(total=n, desc=desc, unit="cell", progress=progress) as bar:
        grid = _Grid(parts, settings, trial, kept, bar)
        best = grid.best(
            "hybrid",
            [Tuned(layer=at, strength=strength, threshold=0.0) for at in layers for strength in settings.strengths],
        )
        if settings.strength == "per-behaviour":
            best = replace(best, behaviour_strengths=(best.strength,) * len(parts.behaviours))
            for number in range(len(parts.behaviours)):
                own = [
                    replace(best, behaviour_strengths=_with(best.behaviour_strengths, number, strength))
                    for strength in settings.strengths
                ]
                best = grid.best("hybrid", own)
        best = grid.best("probe-gated", [replace(best, threshold=threshold) for threshold in settings.thresholds])
    return best, pd.DataFrame(grid.rows)


def tune_network(
    parts: Parts, tuned: Tuned, settings: HybridSettings, trial: Trial, *, kept: Lines | None = None
) -> tuple[Tuned, pd.DataFrame]:
    """The multiple of the network's strengths that does best, and all that were tried."""
    grid = _Grid(parts, settings, trial, kept, None)
    best = grid.best("network-strength", [replace(tuned, network_strength=factor) for factor in settings.strengths])
    return best, pd.DataFrame(grid.rows)


@dataclass
class _Grid:
    parts: Parts
    settings: HybridSettings
    trial: Trial
    kept: Lines | None
    bar: ProgressBar | None
    rows: list[dict[str, Any]] = field(default_factory=list)
    before: list[dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        self.before = [] if self.kept is None else self.kept.known()

    def best(self, arm: str, choices: Sequence[Tuned]) -> Tuned:
        def worth(tuned: Tuned) -> tuple[float, float, float]:
            row = self.tried(arm, tuned)
            return row["accuracy"], -row["steered"], -(sum(tuned.behaviour_strengths) or row["strength"])

        return max(choices, key=worth)

    def tried(self, arm: str, tuned: Tuned) -> dict[str, Any]:
        cell = {
            "arm": arm,
            "layer": tuned.layer,
            "strength": tuned.network_strength if arm == "network-strength" else tuned.strength,
            "behaviour_strengths": named_strengths(self.parts.behaviours, tuned),
            "threshold": tuned.threshold if arm == "probe-gated" else None,
        }
        row = self._known(self.rows, cell)
        if row is None:
            row = self._known(self.before, cell) or self._measured(arm, tuned, cell)
            self.rows.append(row)
            if self.bar is not None:
                self.bar.update()
        return row

    def _known(self, rows: Sequence[dict[str, Any]], cell: dict[str, Any]) -> dict[str, Any] | None:
        return next((row for row in rows if all(row.get(name) == value for name, value in cell.items())), None)

    def _measured(self, arm: str, tuned: Tuned, cell: dict[str, Any]) -> dict[str, Any]:
        records, solved = self.trial(arm, plan_of(arm, self.parts, tuned, self.settings))
        row = cell | {
            "accuracy": float(np.mean(solved)),
            "steered": sum(each.n_gated for each in records) / max(sum(each.n_tokens for each in records), 1),
            "n": len(solved),
        }
        if self.kept is not None:
            self.kept.add([row])
        return row


def named_strengths(behaviours: Sequence[str], tuned: Tuned) -> str:
    """Each behaviour with its strength; "" where all have one."""
    return ", ".join(
        f"{name} {strength:g}" for name, strength in zip(behaviours, tuned.behaviour_strengths, strict=False)
    )


def _with(strengths: tuple[float, ...], number: int, strength: float) -> tuple[float, ...]:
    return (*strengths[:number], strength, *strengths[number + 1 :])
