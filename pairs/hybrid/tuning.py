"""Choose layer, strength and threshold on validation problems by successive halving within a limit of KL.

1. The layer and strength of the highest accuracy that move the base by no more than the limit (KL(steered base ||
   base), nats a token written); of equals the one that steers fewer tokens, then the weaker.
2. Where each behaviour has a strength of its own: one behaviour after the other, the others staying as they are.
3. The threshold of the probe gate in the same way, where the arm runs.
4. The boost of the first words, in nats, likewise.
5. Where an arm takes strengths from the network: the multiple of them, at the layer that was chosen.

`search.py` tries the cells; the whole search is kept.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pandas as pd

from ...rundir import InputError
from ...rundir.progress import ProgressBar
from ...stats.halving import rungs
from ...vectors import Choice, Directions
from ._decode import Plan
from .answering import answer
from .arm import Tuned
from .arms import ARMS, HYBRID, NETWORK, PROBE_GATED, WORDS
from .components import Components
from .experiment import Experiment, enough_memory
from .networks import add_network
from .record import RowRecord
from .search import COLUMNS, KEY, Search
from .settings import HybridSettings

logger = logging.getLogger(__name__)


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
    logger.info(f"{pair.name}: layer {tuned.layer}, strength {tuned.strength:g}")
    if settings.strength_by != "network" and any("coefficient network" in ARMS[arm].needs for arm in settings.arms):
        try:
            add_network(experiment, components, tuned.layer)
        except InputError as error:
            logger.info(f"{pair.name}: no network sets strengths: {error}")
        else:
            tuned = choose_multiple(search, tuned)
    return tuned, pd.DataFrame(search.rows)


def with_choices(components: Components, tuned: Tuned, rows: pd.DataFrame) -> Directions:
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
    choices = {
        name: Choice(layer=tuned.layer, strength=strength, kl_nats=nats, when=None, about=about)
        for name, strength in zip(names, strengths, strict=True)
    }
    return replace(components.directions, choices=choices)


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
    if PROBE_GATED in settings.arms:
        best = search.best(PROBE_GATED, [replace(best, threshold=threshold) for threshold in settings.thresholds])
    if WORDS not in settings.arms:
        return best
    return search.best(WORDS, [replace(best, boost=boost) for boost in settings.boosts])


def choose_multiple(search: Search, tuned: Tuned) -> Tuned:
    """Choose the multiple of the network's strengths."""
    return search.best(NETWORK, [replace(tuned, network_strength=factor) for factor in search.settings.strengths])


def n_decodings(components: Components, layers: Sequence[int], settings: HybridSettings, n_problems: int) -> int:
    """Count the problems that `choose` decodes at most, where enough cells keep to the limit."""
    numbers = [len(layers) * len(settings.strengths)]
    numbers += [len(settings.thresholds)] if PROBE_GATED in settings.arms else []
    numbers += [len(settings.boosts)] if WORDS in settings.arms else []
    if settings.strength_by == "per-behaviour":
        numbers += [len(settings.strengths)] * len(components.behaviours)
    plans = [[(0, 0), *rungs(number, n_problems)] for number in numbers]
    return sum(count * (n - before) for plan in plans for (_, before), (count, n) in pairwise(plan))


def _with(strengths: tuple[float, ...], number: int, strength: float) -> tuple[float, ...]:
    return (*strengths[:number], strength, *strengths[number + 1 :])
