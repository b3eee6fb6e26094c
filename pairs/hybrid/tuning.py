"""Choose layer, strength and threshold on validation problems by successive halving within a limit of KL.

1. The layer and strength of the highest accuracy that move the base by no more than the limit (KL(steered base ||
   base), nats a token written); of equals the one that steers fewer tokens, then the weaker.
2. Where each behaviour has a strength of its own: one behaviour after the other, the others staying as they are.
3. The threshold of the probe gate in the same way.
4. The boost of the first words, in nats, in the same way.
5. Where an arm takes strengths from the network: the multiple of them, at the layer that was chosen.

Each cell is tried on few problems, and the better ones on more (`stats/halving.py`); the whole search is kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pandas as pd

from ...rundir import InputError, RowLog
from ...rundir.progress import ProgressBar
from ...stats import Measured, Trial, successive_halving
from ...stats.halving import rungs
from ...vectors import Directions, Found
from ._decode import Plan
from .answering import answer
from .arm import Tuned
from .arms import ARMS, HYBRID, NETWORK, WORDS
from .components import Components
from .experiment import Experiment, enough_memory
from .networks import add_network
from .plans import plan_of
from .record import RowRecord
from .settings import HybridSettings

logger = logging.getLogger(__name__)

PROBE_GATED = "probe-gated"
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


def tuned_on_validation(experiment: Experiment, components: Components) -> tuple[Tuned, pd.DataFrame]:
    """Choose on the pair's validation problems.

    Args:
        experiment: Its directory keeps `search.jsonl`, a row for each cell and the problems it was tried on.
        components: Of the hybrid; a network is trained into them where an arm needs one, and left out where that fails.

    Returns:
        What does best, and the whole search.

    Raises:
        InputError: No layer and strength of the hybrid keeps to the limit of KL.
    """
    pair, settings = experiment.pair, experiment.settings

    def decode(arm: str, plan: Plan, numbers: range) -> tuple[list[RowRecord], Sequence[bool | None]]:
        questions = [pair.validation[number] for number in numbers]
        with enough_memory(f"{settings.n_rows} problems at once"):
            records, grades = answer(experiment, ARMS[arm], plan, questions, numbers)
        return records, [graded.is_solved for graded in grades]

    log = experiment.directory.log("search.jsonl", about={"pair": pair.name}, key=KEY, columns=COLUMNS)
    search = Search(components=components, settings=settings, n_problems=len(pair.validation), decode=decode, log=log)
    with ProgressBar(
        total=n_decodings(components, experiment.layers, settings, len(pair.validation)),
        desc=f"{pair.name}: choosing",
        unit="problem",
        progress=experiment.progress,
    ) as bar:
        search.bar = bar
        tuned = choose(search, experiment.layers)
        search.bar = None
    logger.info(f"{pair.name}: layer {tuned.layer}, strength {tuned.strength:g}, probe threshold {tuned.threshold:g}")
    if settings.strength_by != "network" and any("coefficient network" in ARMS[arm].needs for arm in settings.arms):
        try:
            add_network(experiment, components, tuned.layer)
        except InputError as error:
            logger.info(f"{pair.name}: no network sets strengths: {error}")
        else:
            tuned = choose_multiple(search, tuned)
    return tuned, pd.DataFrame(search.rows)


def with_found(components: Components, tuned: Tuned, rows: pd.DataFrame) -> Directions:
    """Keep layer and strength with the vectors, where `export` and `steer_write` read them.

    Args:
        components: Of the hybrid.
        tuned: What was chosen.
        rows: The whole search.
    """
    of_hybrid = rows[(rows["arm"] == HYBRID) & (rows["dropped"] == "")]
    names = components.behaviours
    strengths = tuned.behaviour_strengths or (tuned.strength,) * len(names)
    nats, n = float(of_hybrid["kl_nats"].iloc[-1]), int(of_hybrid["n"].iloc[-1])
    about = f"hybrid: {n} validation problems, at the tokens that a thinking model picks"
    found = {
        name: Found(layer=tuned.layer, strength=strength, kl_nats=nats, about=about)
        for name, strength in zip(names, strengths, strict=True)
    }
    return replace(components.directions, found=found)


def choose(search: Search, layers: Sequence[int]) -> Tuned:
    """Choose layer, strength, strengths of behaviours, threshold and boost.

    Args:
        search: Tries cells.
        layers: To try.
    """
    settings, n_behaviours = search.settings, len(search.components.behaviours)
    cells = [
        Tuned(layer=layer, strength=strength, threshold=0.0) for layer in layers for strength in settings.strengths
    ]
    best = search.best(HYBRID, cells)
    if settings.strength_by == "per-behaviour":
        best = replace(best, behaviour_strengths=(best.strength,) * n_behaviours)
        for number in range(n_behaviours):
            cells = [
                replace(best, behaviour_strengths=_with(best.behaviour_strengths, number, strength))
                for strength in settings.strengths
            ]
            best = search.best(HYBRID, cells)
    best = search.best(PROBE_GATED, [replace(best, threshold=threshold) for threshold in settings.thresholds])
    if WORDS not in settings.arms:
        return best
    return search.best(WORDS, [replace(best, boost=boost) for boost in settings.boosts])


def choose_multiple(search: Search, tuned: Tuned) -> Tuned:
    """Choose the multiple of the network's strengths."""
    return search.best(NETWORK, [replace(tuned, network_strength=factor) for factor in search.settings.strengths])


def n_decodings(components: Components, layers: Sequence[int], settings: HybridSettings, n_problems: int) -> int:
    """Count the problems that `choose` decodes at most, where enough cells keep to the limit."""
    numbers = [len(layers) * len(settings.strengths), len(settings.thresholds)]
    numbers += [len(settings.boosts)] if WORDS in settings.arms else []
    if settings.strength_by == "per-behaviour":
        numbers += [len(settings.strengths)] * len(components.behaviours)
    plans = [[(0, 0), *rungs(number, n_problems)] for number in numbers]
    return sum(count * (n - before) for plan in plans for (_, before), (count, n) in pairwise(plan))


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

    def _measured(self, arm: str, tuned: Tuned, n: int) -> Measured:
        counts = self._counts(arm, tuned, n)
        amount = tuned.boost if arm == WORDS else sum(tuned.behaviour_strengths) or self._cell(arm, tuned)["strength"]
        n_tokens = max(counts["n_tokens"], 1)
        return Measured(
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


def _with(strengths: tuple[float, ...], number: int, strength: float) -> tuple[float, ...]:
    return (*strengths[:number], strength, *strengths[number + 1 :])
