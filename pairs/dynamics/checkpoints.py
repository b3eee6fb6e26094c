"""Find the checkpoints of a training: the steps, and what loads the model at each.

    10=MODEL,20=MODEL      named one by one
    DIRECTORY              of a training run: a sub-directory whose name ends in a number holds the model of that step
    organism/rl-timing     an organism, or the directory of a member of a family: its base, its checkpoints, itself

Step 0 is the base, which is named by itself where the checkpoints do not hold it. Steps ascend, and each is there once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from ...models._load import ModelLike
from ...models.organism import PREFIX, names_organism, organism_files
from ...models.sources import ADAPTER
from ...organisms.training.directory import steps_of
from ...rundir import InputError, brief, did_you_mean, expanded, is_there, shown
from ..pair import own_base

# What names or holds the checkpoints: a text as on the command line, or step -> model.
Checkpoints: TypeAlias = str | Path | Mapping[int, ModelLike]

LEAST_STEPS = 3
INSIDE = ("", "huggingface", "actor/huggingface")  # where trainers put the model of a step
_STEP = re.compile(r"(?:.*[^0-9])?([0-9]+)")
_NAMED = re.compile(r"\s*([^=,]*)=(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The model at one step of a training."""

    step: int
    model: ModelLike

    __repr__ = brief

    @property
    def folder(self) -> str:
        """Its folder in the directory of a run."""
        return f"steps/{self.step:06d}"


def checkpoints_of(source: Checkpoints, base: ModelLike | None = None) -> tuple[Checkpoint, ...]:
    """Find the checkpoints.

    Args:
        source: What names or holds them.
        base: The model before the training; None: step 0 of the checkpoints, or an organism's own.

    Returns:
        The checkpoints, the base first.

    Raises:
        InputError: Steps are not ascending, are there twice, or a model is missing; there are fewer than three.
    """
    if isinstance(source, Mapping):
        models = [(_whole(step), model) for step, model in source.items()]
    elif names_organism(source):
        models = _of_organism(str(source))
    elif "=" in str(source) and not is_there(expanded(source)):
        models = _named(str(source))
    else:
        models = _of_directory(expanded(source))
    _check_order([step for step, _ in models])
    if base is not None:
        if names_organism(source) and not isinstance(source, Mapping):
            models = models[1:]
        if models and models[0][0] == 0:
            raise InputError("step 0 is the base, and --base names another one: leave one of them out")
        models.insert(0, (0, base))
    if not models or models[0][0] != 0:
        raise InputError("the base of these checkpoints is not known: give --base (base=), or name it as step 0")
    if len(models) < LEAST_STEPS:
        raise InputError(
            f"dynamics need {LEAST_STEPS} steps or more, the base included, and there {_count(len(models))}: give more "
            "checkpoints (--checkpoints), or compare two models with `reasonlens passk` and `reasonlens exchange`"
        )
    return tuple(Checkpoint(step=step, model=model) for step, model in models)


def _named(text: str) -> list[tuple[int, ModelLike]]:
    models: list[tuple[int, ModelLike]] = []
    for part in text.split(","):
        match = _NAMED.fullmatch(part)
        if match is None or not match[2].strip():
            raise InputError(
                f"--checkpoints takes STEP=MODEL, joined by commas, a directory or an organism, and {part[:60]!r} is "
                "none (10=run/a,20=run/b)"
            )
        model = match[2].strip()
        if ("/" in model or model.startswith(("~", "."))) and not _can_be(model):
            raise InputError(f"there is no model {model!r} for step {match[1].strip()}: correct it in --checkpoints")
        models.append((_whole(match[1].strip()), model))
    return models


def _can_be(model: str) -> bool:
    """Tell whether a name with a slash may be a model: it is there, built in, or could be an id of the hub."""
    is_path = model.startswith(("~", ".", "/")) or model.count("/") > 1
    return names_organism(model) or "+" in model or not is_path or is_there(expanded(model))


def _of_organism(name: str) -> list[tuple[int, ModelLike]]:
    if "@" in name:
        raise InputError(f"{name} is one checkpoint: name the organism, {name.split('@')[0]}, for all of them")
    directory = organism_files(name)[0] if name.startswith(PREFIX) else expanded(name)
    base = own_base(name)
    steps = steps_of(directory.parent, directory.name)
    inner: list[tuple[int, ModelLike]] = [(step, f"{name}@{step}") for step in steps[1:-1]]
    return [(0, base), *inner, (steps[-1], name)]


def _of_directory(directory: Path) -> list[tuple[int, ModelLike]]:
    if not is_there(directory) or not directory.is_dir():
        near = [path.name for path in directory.parent.iterdir()] if directory.parent.is_dir() else []
        raise InputError(
            f"there is no directory of checkpoints {str(directory)!r}: give STEP=MODEL joined by commas, a directory "
            f"with a sub-directory for each step, or an organism.{did_you_mean(directory.name, near)}"
        )
    models: list[tuple[int, ModelLike]] = []
    for path in directory.iterdir():
        match = _STEP.fullmatch(path.name)
        inside = [path / name for name in INSIDE if _holds_model(path / name)]
        if path.is_dir() and match is not None and inside:
            models.append((int(match[1]), str(inside[0])))
    if not models:
        raise InputError(
            f"no sub-directory of {directory} has a name that ends in a step and holds a model (config.json or "
            f"{ADAPTER}): give the directory of the run, or STEP=MODEL joined by commas"
        )
    return sorted(models, key=lambda pair: (pair[0], str(pair[1])))


def _holds_model(path: Path) -> bool:
    return (path / "config.json").is_file() or (path / ADAPTER).is_file()


def _whole(step: object) -> int:
    text = str(step)
    if isinstance(step, bool) or not text.isdecimal():
        raise InputError(f"a step is a whole number from 0, and {shown(step)} is none: 10=MODEL")
    return int(text)


def _check_order(steps: Sequence[int]) -> None:
    """Refuse steps that are there twice or do not ascend."""
    for place, step in enumerate(steps):
        if step in steps[:place]:
            raise InputError(f"step {step} is named twice: give each step one model")
        if place and step < steps[place - 1]:
            raise InputError(f"steps ascend, and {step} stands behind {steps[place - 1]}: put them in order")


def _count(number: int) -> str:
    return "is 1" if number == 1 else f"are {number}"
