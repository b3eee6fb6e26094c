"""Training a whole family of organisms into a directory, resumable stage by stage and within a stage.

    base ──► rl ──► sft-same
         ├─► random-reward
         ├─► one-example
         └─► sft

Every stage runs on one thread in a process of its own, so weights do not depend on how many run side by side.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path

from ....rundir import InputError, RunDirectory, check_kinds, read_json
from ....rundir.progress import is_silent
from .stages import (
    STAGES,
    FamilySettings,
    Name,
    clear_stage,
    train_stage,
)

logger = logging.getLogger(__name__)


def organisms_train(
    out: str | Path, settings: FamilySettings, jobs: int = 2, *, progress: bool = True
) -> dict[Name, float]:
    """Train those members of a family that its directory does not hold yet.

    Args:
        out: The directory of the family: one model directory for each member.
        settings: What is trained, and with what; more members may be asked for later.
        jobs: Models trained side by side, each on one thread.
        progress: Whether each member that is trained has a bar.

    Returns:
        The seconds that each member took in all.

    Raises:
        InputError: `out` holds a family of other settings or an altered member, a member's parent is not a member, or
            a training process was killed.
    """
    members = [name for name in STAGES if name in settings.members]
    for name in members:
        missing = [parent for parent in STAGES[name] if parent not in members]
        if missing:
            raise InputError(f"{name} is trained from {', '.join(missing)}, which is not among the members")
    compared = asdict(settings)
    with RunDirectory(
        out,
        "organisms train",
        changeable={"members": compared.pop("members")},
        settings=compared,
        options={"jobs": jobs},
    ) as run:
        run.record()
        for name in members:
            if (run.path / name).is_dir():
                run.register(name)
                clear_stage(run.path, name)
                logger.info(f"{name}: there already")
        waiting = [name for name in members if not (run.path / name).is_dir()]
        try:
            _train_all(run, waiting, settings, jobs, progress and not is_silent())
        except BrokenProcessPool as error:
            raise InputError(
                "a training process was killed (out of memory?); the same command goes on from there"
            ) from error
        run.finish()
        return {name: _seconds(run.path / name / "training.json") for name in members}


def _seconds(path: Path) -> float:
    seconds = check_kinds(read_json(path, "the record of a training"), {}, path).get("seconds")
    if not isinstance(seconds, int | float):
        raise InputError(f"{path} is damaged: it does not say how many seconds the training took; remove its folder")
    return float(seconds)


def parse_members(text: str) -> tuple[Name, ...]:
    """`all`, or names joined by commas. Raises InputError for any other."""
    if text == "all":
        return tuple(STAGES)
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in STAGES]
    if unknown:
        raise InputError(f"there is no member {unknown[0]!r} of a family; there are {', '.join(STAGES)}")
    return tuple(name for name in STAGES if name in names)


def _train_all(run: RunDirectory, waiting: list[Name], settings: FamilySettings, jobs: int, progress: bool) -> None:
    """Train each member as soon as its parents are there."""
    out = run.path
    running: dict[Future[None], Name] = {}
    with ProcessPoolExecutor(
        jobs,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_DFL),  # an interrupt ends a worker without a traceback
    ) as pool:
        while waiting or running:
            for name in [name for name in waiting if all((out / parent).is_dir() for parent in STAGES[name])]:
                waiting.remove(name)
                running[pool.submit(train_stage, out, name, settings, list(STAGES).index(name), progress)] = name
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for finished in done:
                name = running.pop(finished)
                finished.result()
                run.register(name)
                logger.info(f"{name}: done")
