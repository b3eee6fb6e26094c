"""One pair's experiment, stage by stage: each is made once and kept, so that a run that was cut off goes on there.

rollouts       what the thinking model writes on the training problems
components     vectors, probes and networks made of it
tuning         layer, strength and threshold chosen on the validation problems
next sentence  whether the base knows what comes as well as the thinking model does
arms           every arm answers the test problems
measures       the figures of every arm
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ...rundir import InputError, brief, parse_json, reading, write_json
from ...vectors import Directions
from ..pair import Pair
from .arm import Tuned
from .arm_run import ArmRun
from .arms import HYBRID
from .components import Components
from .experiment import Experiment
from .make_components import make_components
from .measure import ArmResult, measure_once
from .next_sentence import next_sentence
from .rollouts import labelled_rollouts
from .run_arms import run_arms
from .steered_trace import SteeredTrace
from .tuning import tuned_on_validation, with_choices

FOUND = "found.safetensors"  # the vectors with layer and strength, for `export` and `steer`
BIAS = "bias"  # the one general vector, and the arm that is steered with it


@dataclass(frozen=True, eq=False, kw_only=True)
class PairRun:
    """One pair: what was made, chosen, written and measured."""

    pair: Pair
    components: Components
    tuned: Tuned
    search: pd.DataFrame  # of `tuning.py`, a row a trial
    next_sentence: pd.DataFrame  # of `next_sentence.py`
    arms: dict[str, ArmRun]
    measures: dict[str, ArmResult]

    __repr__ = brief

    def trace(self, number: int, arm: str = HYBRID) -> SteeredTrace:
        """Take what an arm wrote on a test problem, token by token; of several seeds the first.

        Args:
            number: Of the problem, from 0.
            arm: One of those that ran.

        Raises:
            InputError: There is no such arm or problem.
        """
        if arm not in self.arms:
            raise InputError(f"{self.pair.name} has no arm {arm!r}; it has {', '.join(self.arms)}")
        if not 0 <= number < len(self.pair.test):
            raise InputError(f"{self.pair.name} has test problems 0 to {len(self.pair.test) - 1}, and {number} is none")
        run = self.arms[arm]
        return SteeredTrace.of(
            self.pair.base,
            run.records[0][number],
            question=self.pair.test[number].prompt,
            arm=arm,
            is_right=run.is_solved[0][number],
            behaviours=(BIAS,) if arm == BIAS else self.components.behaviours,
        )


def run_pair(experiment: Experiment) -> PairRun:
    """Make, tune and measure the hybrid of a pair.

    Args:
        experiment: Pair, settings and directory; the directory is held meanwhile.

    Raises:
        InputError: Another process holds the directory, a file in it is altered, or components cannot be made.
    """
    pair = experiment.pair
    with experiment.directory as directory:
        directory.record()
        with directory.stage("rollouts"):
            rollouts = labelled_rollouts(experiment)
        with directory.stage("components"):
            components = make_components(experiment, rollouts)
        with directory.stage("tuning"):
            tuned, search = tuned_on_validation(experiment, components)
            if experiment.settings.strength_by != "network":  # whose strengths differ from token to token
                directory.once(
                    FOUND, lambda: with_choices(components, tuned, search), save=Directions.save, open=Directions.open
                )
        with directory.stage("next sentence"):
            decodable = directory.once(
                "next_sentence.json",
                lambda: next_sentence(
                    pair, components.traces, tuned.layer, components.behaviours, seed=experiment.settings.seed
                ),
                save=_save_frame,
                open=_open_frame,
            )
        with directory.stage("arms"):
            arms = run_arms(experiment, components, tuned)
        with directory.stage("measures"):
            measures = measure_once(experiment, arms)
        directory.finish()
    return PairRun(
        pair=pair,
        components=components,
        tuned=tuned,
        search=search,
        next_sentence=decodable,
        arms=arms,
        measures=measures,
    )


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Turn a table into rows as JSON has them, None for what is not known."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def _save_frame(frame: pd.DataFrame, path: Path) -> None:
    write_json(path, rows_of(frame))


def _open_frame(path: Path) -> pd.DataFrame:
    with reading(path, "a table of the hybrid"):
        return pd.DataFrame(parse_json(path.read_text("utf-8"), path))
