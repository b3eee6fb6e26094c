"""Let every arm answer the test problems, each once, or once for each seed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ...generation.vocabulary import same_tokens
from ...rundir import InputError, columns_of, from_row, to_row
from ..identity import folder_of
from ._decode import Plan
from .answering import Graded, answer
from .arm import Arm, Tuned
from .arm_run import ArmRun
from .arms import ARMS, varied_strengths
from .behaviour_probe import Whose
from .behaviour_probe_fit import add_behaviour_probe
from .components import Components
from .experiment import KEY, Experiment
from .plans import plan_of, through_of
from .record import RowRecord

logger = logging.getLogger(__name__)

WHOSE: tuple[Whose, ...] = ("thinking", "base")

COLUMNS = {KEY: int, **columns_of(RowRecord), **columns_of(Graded)}


def run_arms(experiment: Experiment, components: Components, tuned: Tuned) -> dict[str, ArmRun]:
    """Run the arms of the settings, in the order of the table.

    Args:
        experiment: Its directory keeps `arms/NAME.jsonl`, a row for each question, batch by batch.
        components: What the arms are put together from.
        tuned: Layer, strengths and threshold.

    Returns:
        Arm -> what it wrote, of an arm with a run for each behaviour `NAME-BEHAVIOUR` -> what that wrote; arms whose
        needs cannot be met are left out, and the log says why.
    """
    _add_behaviour_probes(experiment, components, tuned.layer)
    runs: dict[str, ArmRun] = {}
    for name in experiment.settings.arms:
        arm = ARMS[name]
        missing = unmet_need(arm, experiment, components, tuned, runs)
        if missing:
            logger.info(f"{experiment.pair.name}: no arm {name}: {missing}")
        elif "each behaviour" in arm.needs:
            for number, behaviour in enumerate(components.behaviours):
                run = f"{name}-{behaviour}"
                runs[run] = _run(experiment, arm, components, tuned, runs, run, number)
        else:
            runs[name] = _run(experiment, arm, components, tuned, runs, name)
    return runs


def unmet_need(
    arm: Arm, experiment: Experiment, components: Components, tuned: Tuned, runs: Mapping[str, ArmRun]
) -> str:
    """Say what an arm needs and there is not; empty where it can run."""
    settings = experiment.settings
    if "step-by-step prompt" in arm.needs and experiment.pair.step_by_step is None:
        return "the pair has no words that ask for reasoning"
    if "coefficient network" in arm.needs and settings.strength_by == "network":
        return "the hybrid's own strengths are the network's"
    if "coefficient network" in arm.needs and tuned.layer not in components.networks:
        return f"there is no network at layer {tuned.layer}"
    for whose in WHOSE:
        if f"{whose}'s behaviour" in arm.needs and (whose, tuned.layer) not in components.behaviour_probes:
            return f"no probe tells the {whose} model's behaviour at layer {tuned.layer}"
    if "thinking's behaviour" in arm.needs and not same_tokens(experiment.pair.base, experiment.pair.thinking):
        return "the thinking model has other tokens, so that its activations stand at other places"
    if "varied strengths" in arm.needs and not varied_strengths(runs, through_of(settings, components)):
        return "all strengths are one"
    return ""


def _add_behaviour_probes(experiment: Experiment, components: Components, layer: int) -> None:
    """Fit the probes that an arm needs; one that cannot be fitted is missing, and the log says why."""
    for whose in WHOSE:
        if any(f"{whose}'s behaviour" in ARMS[arm].needs for arm in experiment.settings.arms):
            try:
                add_behaviour_probe(experiment, components, whose, layer)
            except InputError as error:
                logger.info(f"{experiment.pair.name}: no probe tells the {whose} model's behaviour: {error}")


def _run(
    experiment: Experiment,
    arm: Arm,
    components: Components,
    tuned: Tuned,
    runs: Mapping[str, ArmRun],
    name: str,
    behaviour: int | None = None,
) -> ArmRun:
    settings, has_seeds = experiment.settings, "seeds" in arm.needs
    records, is_solved, in_thoughts = [], [], []
    for seed in range(settings.n_seeds if has_seeds else 1):
        of_seed = seed + 1000 * settings.seed
        plan = plan_of(arm.name, components, tuned, settings, seed=of_seed, behaviour=behaviour, runs=runs)
        rows = _answers(experiment, arm, plan, f"{name}-{seed}" if has_seeds else name)
        records.append(tuple(from_row(RowRecord, row) for row in rows))
        is_solved.append(tuple(row["is_solved"] for row in rows))
        in_thoughts.append(tuple(row["answered_in_thoughts"] for row in rows))
    return ArmRun(
        name=name, records=tuple(records), is_solved=tuple(is_solved), answered_in_thoughts=tuple(in_thoughts)
    )


def _answers(experiment: Experiment, arm: Arm, plan: Plan, name: str) -> list[dict[str, Any]]:
    """The rows of one run of an arm, kept under `name`."""
    pair = experiment.pair
    log = experiment.directory.log(
        f"arms/{folder_of(name)}.jsonl",
        about={"pair": pair.name, "arm": name, "problems": pair.digest},
        key=KEY,
        columns=COLUMNS,
    )

    def answer_some(numbers: range) -> list[dict[str, Any]]:
        questions = [pair.test[number] for number in numbers]
        records, grades = answer(experiment, arm, plan, questions, numbers)
        return [
            {KEY: number} | to_row(record) | to_row(graded)
            for number, record, graded in zip(numbers, records, grades, strict=True)
        ]

    return experiment.answer_once(log, len(pair.test), answer_some, desc=name, is_many="problems")
