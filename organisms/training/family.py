"""Training a whole family of organisms into a directory, resumable stage by stage and within a stage.

    base ──► rl ──► sft-same
         ├─► random-reward
         ├─► one-example
         └─► sft

Every stage runs on one thread in a process of its own, so weights do not depend on how many run side by side.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import signal
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path

from ...rundir import InputError, atomic_path
from ...rundir.progress import is_silent
from .stages import (
    STAGES,
    FamilySettings,
    Name,
    clear_stage,
    train_stage,
)

logger = logging.getLogger(__name__)


def train_family(out: Path, settings: FamilySettings, jobs: int = 2, *, progress: bool = True) -> dict[Name, float]:
    """Train what `out` does not hold yet. Returns the seconds that each member took in all.

    progress: show a bar for each member that is trained.

    Raises InputError if `out` holds a family of other settings, if a member's parent is not a member, and if a
    training process was killed.
    """
    wanted = [name for name in STAGES if name in settings.members]
    for name in wanted:
        missing = [parent for parent in STAGES[name] if parent not in wanted]
        if missing:
            raise InputError(f"{name} is trained from {', '.join(missing)}, which is not among the members")
    _claim(out, settings)
    for name in wanted:
        if (out / name).is_dir():
            clear_stage(out, name)
            logger.info(f"{name}: there already")
    try:
        _run(out, [name for name in wanted if not (out / name).is_dir()], settings, jobs, progress and not is_silent())
    except BrokenProcessPool as error:
        raise InputError(
            "a training process was killed (out of memory?); the same command goes on from there"
        ) from error
    return {name: json.loads((out / name / "training.json").read_text())["seconds"] for name in wanted}


def parse_members(text: str) -> tuple[Name, ...]:
    """`all`, or names joined by commas. Raises InputError for any other."""
    if text == "all":
        return tuple(STAGES)
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in STAGES]
    if unknown:
        raise InputError(f"there is no member {unknown[0]!r} of a family; there are {', '.join(STAGES)}")
    return tuple(name for name in STAGES if name in names)


def _run(out: Path, waiting: list[Name], settings: FamilySettings, jobs: int, progress: bool) -> None:
    """Each stage as soon as its parents are there."""
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
                logger.info(f"{name}: done")


def _claim(out: Path, settings: FamilySettings) -> None:
    """Write down what `out` is trained with, or check it."""
    record = out / "family.json"
    wanted = json.loads(json.dumps(asdict(settings)))
    del wanted["members"]  # more of them may be wanted later
    if not record.exists():
        with atomic_path(record) as path:
            path.write_text(json.dumps(wanted, indent=2))
        return
    held = json.loads(record.read_text())
    if held != wanted:
        differing = ", ".join(sorted(key for key in {*wanted, *held} if held.get(key) != wanted.get(key)))
        raise InputError(f"{out} holds a family of other settings ({differing}); choose another --out or remove it")
