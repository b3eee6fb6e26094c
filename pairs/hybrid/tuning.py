"""Choose layer, strength and threshold on validation problems, and keep the whole grid to be seen.

1. The layer and strength of the highest accuracy; of equals the one that steers fewer tokens, then the weaker.
2. Where each behaviour has a strength of its own: one behaviour after the other, the others staying as they are.
3. The threshold of the probe gate in the same way, where the arm runs.
4. The boost of the first words, in nats, likewise.
5. Where an arm takes strengths from the network: the multiple of them, at the layer that was chosen.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from ...rundir import InputError, RowLog
from ...rundir.progress import ProgressBar
from ._decode import Plan
from .answering import answer
from .arm import Tuned
from .arm_run import gated_share
from .arms import ARMS, HYBRID, NETWORK, PROBE_GATED, WORDS
from .components import Components
from .experiment import Experiment, enough_memory
from .networks import add_network
from .plans import plan_of
from .record import RowRecord
from .settings import HybridSettings

logger = logging.getLogger(__name__)

CELL = ("arm", "layer", "strength", "behaviour_strengths", "threshold")  # which cell of the grid a row is
COLUMNS = {
    "arm": str,
    "layer": int,
    "strength": float,
    "behaviour_strengths": str,
    "threshold": float | None,
    "accuracy": float,
    "steered": float,
    "n": int,
}

# Decodes the validation problems by the plan of an arm: what was written, and whether it is right.
Trial = Callable[[str, Plan], tuple[list[RowRecord], Sequence[bool | None]]]


def tuned_on_validation(experiment: Experiment, components: Components) -> tuple[Tuned, pd.DataFrame]:
    """Choose on the pair's validation problems.

    Args:
        experiment: Its directory keeps `grid.jsonl`, a row a cell.
        components: Of the hybrid; a network is trained into them where an arm needs one, and left out where that fails.

    Returns:
        What does best, and the whole grid.
    """
    pair, settings = experiment.pair, experiment.settings

    def trial(arm: str, plan: Plan) -> tuple[list[RowRecord], Sequence[bool | None]]:
        with enough_memory(f"{settings.n_rows} problems at once"):
            records, grades = answer(experiment, ARMS[arm], plan, pair.validation, range(len(pair.validation)))
        return records, [graded.is_solved for graded in grades]

    log = experiment.directory.log("grid.jsonl", about={"pair": pair.name}, key=CELL, columns=COLUMNS)
    grid = Grid(components=components, settings=settings, trial=trial, log=log)
    with ProgressBar(
        total=n_cells(components, experiment.layers, settings),
        desc=f"{pair.name}: choosing",
        unit="cell",
        progress=experiment.progress,
    ) as bar:
        grid.bar = bar
        tuned = choose(grid, experiment.layers)
        grid.bar = None
    logger.info(f"{pair.name}: layer {tuned.layer}, strength {tuned.strength:g}")
    if settings.strength_by != "network" and any("coefficient network" in ARMS[arm].needs for arm in settings.arms):
        try:
            add_network(experiment, components, tuned.layer)
        except InputError as error:
            logger.info(f"{pair.name}: no network sets strengths: {error}")
        else:
            tuned = choose_multiple(grid, tuned)
    return tuned, pd.DataFrame(grid.rows)


def choose(grid: Grid, layers: Sequence[int]) -> Tuned:
    """Choose layer, strength, strengths of behaviours, threshold and boost.

    Args:
        grid: Tries cells.
        layers: To try.
    """
    settings, n_behaviours = grid.settings, len(grid.components.behaviours)
    cells = [
        Tuned(layer=layer, strength=strength, threshold=0.0) for layer in layers for strength in settings.strengths
    ]
    best = grid.best(HYBRID, cells)
    if settings.strength_by == "per-behaviour":
        best = replace(best, behaviour_strengths=(best.strength,) * n_behaviours)
        for number in range(n_behaviours):
            cells = [
                replace(best, behaviour_strengths=_with(best.behaviour_strengths, number, strength))
                for strength in settings.strengths
            ]
            best = grid.best(HYBRID, cells)
    if PROBE_GATED in settings.arms:
        best = grid.best(PROBE_GATED, [replace(best, threshold=threshold) for threshold in settings.thresholds])
    if WORDS not in settings.arms:
        return best
    return grid.best(WORDS, [replace(best, boost=boost) for boost in settings.boosts])


def choose_multiple(grid: Grid, tuned: Tuned) -> Tuned:
    """Choose the multiple of the network's strengths."""
    return grid.best(NETWORK, [replace(tuned, network_strength=factor) for factor in grid.settings.strengths])


def n_cells(components: Components, layers: Sequence[int], settings: HybridSettings) -> int:
    """Count the cells that `choose` tries."""
    n = len(layers) * len(settings.strengths)
    n += len(settings.thresholds) if PROBE_GATED in settings.arms else 0
    n += len(settings.boosts) if WORDS in settings.arms else 0
    if settings.strength_by == "per-behaviour":
        n += 1 + len(components.behaviours) * (len(settings.strengths) - 1)  # all alike: the best of before, once more
    return n


@dataclass(kw_only=True)
class Grid:
    """The cells that have been tried, each once."""

    components: Components
    settings: HybridSettings
    trial: Trial
    log: RowLog  # of cells that are known already, which grows by those that are tried
    bar: ProgressBar | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)  # as they were asked for

    def best(self, arm: str, cells: Sequence[Tuned]) -> Tuned:
        """Try cells of an arm, and take the best."""

        def worth(tuned: Tuned) -> tuple[float, float, float]:
            row = self._tried(arm, tuned)
            amount = row["strength"] if arm == WORDS else sum(tuned.behaviour_strengths) or row["strength"]
            return row["accuracy"], -row["steered"], -amount

        return max(cells, key=worth)

    def _tried(self, arm: str, tuned: Tuned) -> dict[str, Any]:
        cell = {
            "arm": arm,
            "layer": tuned.layer,
            "strength": float({NETWORK: tuned.network_strength, WORDS: tuned.boost}.get(arm, tuned.strength)),
            "behaviour_strengths": "" if arm == WORDS else named_strengths(self.components.behaviours, tuned),
            "threshold": float(tuned.threshold) if arm == PROBE_GATED else None,
        }
        row = next((row for row in self.rows if all(row[name] == cell[name] for name in CELL)), None)
        if row is None:
            key = tuple(cell[name] for name in CELL)
            if key not in self.log:
                self.log.add([self._measured(arm, tuned, cell)])
            row = dict(self.log[key])
            self.rows.append(row)
            if self.bar is not None:
                self.bar.update()
        return row

    def _measured(self, arm: str, tuned: Tuned, cell: dict[str, Any]) -> dict[str, Any]:
        records, solved = self.trial(arm, plan_of(arm, self.components, tuned, self.settings))
        return cell | {
            "accuracy": float(np.mean([is_right is True for is_right in solved])),
            "steered": gated_share(records),
            "n": len(solved),
        }


def named_strengths(behaviours: Sequence[str], tuned: Tuned) -> str:
    """Write each behaviour with its strength; empty where all have one."""
    pairs = zip(behaviours, tuned.behaviour_strengths, strict=False)
    return ", ".join(f"{name} {strength:g}" for name, strength in pairs)


def _with(strengths: tuple[float, ...], number: int, strength: float) -> tuple[float, ...]:
    return (*strengths[:number], strength, *strengths[number + 1 :])
