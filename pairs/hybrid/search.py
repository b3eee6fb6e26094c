"""Search among cells of an arm (layer, strength, threshold, boost) on validation problems, within a limit of KL.

Each cell is tried on few problems, and the better ones on more (`stats/halving.py`). A problem is decoded once in each
cell; what has been decoded is logged, so that a search which is cut off goes on there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...rundir import InputError, RowLog
from ...rundir.progress import ProgressBar
from ...stats import CellMeasure, Trial, successive_halving
from ._decode import Plan
from .arm import Tuned
from .arms import HYBRID, NETWORK, PROBE_GATED, WORDS
from .components import Components
from .plans import plan_of
from .record import RowRecord
from .settings import HybridSettings

logger = logging.getLogger(__name__)

CELL = ("arm", "layer", "strength", "behaviour_strengths", "threshold")  # which cell a row is of
KEY = (*CELL, "first")
COLUMNS = {
    "arm": str,
    "layer": int,
    "strength": float,
    "behaviour_strengths": str,
    "threshold": float | None,
    "first": int,  # number of the first problem that the row counts
    "n": int,  # problems, from there on
    "n_right": int,
    "n_gated": int,
    "n_tokens": int,
    "kl_nats": float,  # of all tokens together
}
COUNTS = ("n", "n_right", "n_gated", "n_tokens", "kl_nats")

# Decodes some validation problems by the plan of an arm: what was written, and whether it is right.
Decode = Callable[[str, Plan, range], tuple[list[RowRecord], Sequence[bool | None]]]


@dataclass(kw_only=True)
class Search:
    """The cells that have been tried, each once on each problem."""

    components: Components
    settings: HybridSettings
    n_problems: int  # for validation
    decode: Decode
    log: RowLog  # of what is known already, which grows by what is tried
    bar: ProgressBar | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)  # every trial, as it was asked for

    def best(self, arm: str, cells: Sequence[Tuned]) -> Tuned:
        """Search among cells of an arm.

        Raises:
            InputError: The arm is the hybrid, and no cell keeps to the limit; another arm takes the cell that moves the
                base least.
        """
        limit = self.settings.kl_limit_nats
        halving = successive_halving(
            cells, lambda cell, n: self._measured(arm, cell, n), n_problems=self.n_problems, kl_limit_nats=limit
        )
        self.rows += [self._row(arm, trial) for trial in halving.trials]
        if halving.choice is not None:
            return halving.choice.cell
        least = min(halving.trials, key=lambda trial: trial.measured.kl_nats)
        message = (
            f"every layer and strength of {arm} moves the base by {least.measured.kl_nats:.2g} nats a token or more, "
            f"and the limit is {limit:g}"
        )
        if arm == HYBRID:
            raise InputError(f"{message}: try weaker strengths (--strengths), or raise the limit (--kl-limit)")
        logger.info(f"{message}: it runs with the least")
        return least.cell

    def _measured(self, arm: str, tuned: Tuned, n: int) -> CellMeasure:
        counts = self._counts(arm, tuned, n)
        amount = tuned.boost if arm == WORDS else sum(tuned.behaviour_strengths) or self._cell(arm, tuned)["strength"]
        n_tokens = max(counts["n_tokens"], 1)
        return CellMeasure(
            objective=counts["n_right"] / counts["n"],
            kl_nats=counts["kl_nats"] / n_tokens,
            gentleness=(counts["n_gated"] / n_tokens, amount),
        )

    def _counts(self, arm: str, tuned: Tuned, n: int) -> dict[str, Any]:
        """Sum what is known of the first n problems, and decode those of which nothing is."""
        cell, first = self._cell(arm, tuned), 0
        total: dict[str, Any] = dict.fromkeys(COUNTS, 0)
        while first < n:
            key = (*(cell[name] for name in CELL), first)
            if key not in self.log:
                self.log.add([cell | {"first": first} | self._decoded(arm, tuned, range(first, n))])
            total = {name: total[name] + self.log[key][name] for name in COUNTS}
            first += self.log[key]["n"]
        return total

    def _decoded(self, arm: str, tuned: Tuned, numbers: range) -> dict[str, Any]:
        records, solved = self.decode(arm, plan_of(arm, self.components, tuned, self.settings), numbers)
        if self.bar is not None:
            self.bar.update(len(numbers))
        return {
            "n": len(numbers),
            "n_right": sum(is_right is True for is_right in solved),
            "n_gated": sum(record.n_gated for record in records),
            "n_tokens": sum(record.n_tokens for record in records),
            "kl_nats": float(sum(sum(record.kl_nats) for record in records)),
        }

    def _cell(self, arm: str, tuned: Tuned) -> dict[str, Any]:
        return {
            "arm": arm,
            "layer": tuned.layer,
            "strength": float({NETWORK: tuned.network_strength, WORDS: tuned.boost}.get(arm, tuned.strength)),
            "behaviour_strengths": "" if arm == WORDS else named_strengths(self.components.behaviours, tuned),
            "threshold": float(tuned.threshold) if arm == PROBE_GATED else None,
        }

    def _row(self, arm: str, trial: Trial[Tuned]) -> dict[str, Any]:
        measured = trial.measured
        return self._cell(arm, trial.cell) | {
            "rung": trial.rung,
            "n": trial.n,
            "accuracy": measured.objective,
            "steered": measured.gentleness[0],
            "kl_nats": measured.kl_nats,
            "dropped": trial.dropped,
        }


def named_strengths(behaviours: Sequence[str], tuned: Tuned) -> str:
    """Write each behaviour with its strength; empty where all have one."""
    pairs = zip(behaviours, tuned.behaviour_strengths, strict=False)
    return ", ".join(f"{name} {strength:g}" for name, strength in pairs)
