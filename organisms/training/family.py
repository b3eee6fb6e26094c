"""Training a whole family of organisms into a directory, resumable stage by stage and within a stage.

    trunk ──► base-timing ──► rl-timing, sft-timing, format-timing, ...
          ├─► base-skill  ──► rl-skill, sft-skill
          └─► ...

Every stage runs on one thread in a process of its own, so weights do not depend on how many run side by side.
"""

from __future__ import annotations

import logging
import multiprocessing
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path

from ...models.organism import read_record
from ...rundir import InputError, RunDirectory
from ...rundir.progress import is_silent
from ...rundir.workers import end_with_parent
from .members import MEMBERS
from .stages import FamilySettings, clear_stage, train_stage

logger = logging.getLogger(__name__)


def organisms_train(
    out: str | Path, settings: FamilySettings, jobs: int = 2, *, progress: bool = True
) -> dict[str, float]:
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
    members = [name for name in MEMBERS if name in settings.members]
    for name in members:
        parent = MEMBERS[name].parent
        if parent is not None and parent not in members:
            raise InputError(f"{name} is trained from {parent}, which is not among the members; name it too")
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
        return {name: float(read_record(run.path / name)["seconds"]) for name in members}


def _has_parent(out: Path, name: str) -> bool:
    parent = MEMBERS[name].parent
    return parent is None or (out / parent).is_dir()


def parse_members(text: str) -> tuple[str, ...]:
    """`all`, or names joined by commas. Raises InputError for any other."""
    if text == "all":
        return tuple(MEMBERS)
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in MEMBERS]
    if unknown:
        raise InputError(f"there is no member {unknown[0]!r} of a family; there are {', '.join(MEMBERS)}")
    return tuple(name for name in MEMBERS if name in names)


def _train_all(run: RunDirectory, waiting: list[str], settings: FamilySettings, jobs: int, progress: bool) -> None:
    """Train each member as soon as its parents are there."""
    out = run.path
    running: dict[Future[None], str] = {}
    with ProcessPoolExecutor(
        jobs,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=end_with_parent,
    ) as pool:
        while waiting or running:
            for name in [name for name in waiting if _has_parent(out, name)]:
                waiting.remove(name)
                running[pool.submit(train_stage, out, name, settings, list(MEMBERS).index(name), progress)] = name
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for finished in done:
                name = running.pop(finished)
                finished.result()
                run.register(name)
                logger.info(f"{name}: done")
