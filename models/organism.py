"""Find the model organisms that come with reasonlens: their weights, and what is known of each.

    organism/base-timing      organism/rl-timing      organism/rl-timing@30 (a checkpoint of its training)
    family/collapse-timing    family/collapse-timing@42                     (in the directory of a trained family)

This module reads files only; the task, the training and the figures of the organisms are in `reasonlens.organisms`.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..rundir import InputError, check_kinds, did_you_mean, expanded, read_json
from .handle import LanguageModel

PREFIX = "organism/"
RECORD = "organism.json"  # in the directory of a member: its name, its base, how it was trained
FIGURES = "figures.json"  # in the directory of a family: what was measured of it


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Organism(LanguageModel):
    """A member of a family of organisms, whose timing and skill are known by rule."""

    directory: Path

    @cached_property
    def base(self) -> str | None:
        """Name of the base that it was trained from, in the same family; None for a base."""
        return base_of(self.directory)

    def truth(self) -> dict[str, Any]:
        """Return what is known of this organism, with which the results of a method can be compared.

        ["model"]: along its own responses: `accuracy`, `steps` (kind of content -> share said rightly), `decisions`
        (state -> move -> share), `behaviours` (share of sentences).
        ["pair"]: for a model trained from a base: `gap`, and how much of it is timing and skill by cross-play
        (`timing_share`, `skill_share`); None for a base.
        ["recovered"]: what words and vectors at its decisions recover of the gap, where that was measured; else None.
        Numbers are {value, low, high, n}: 95% interval over the n problems in which they occur.

        Returns:
            The truth, read from the figures of its family.

        Raises:
            InputError: The family has not been measured, or this member was not among what was.
        """
        path = self.directory.parent / FIGURES
        name = self.directory.name
        if not path.is_file():
            raise InputError(
                f"nothing is known of {name} yet: `reasonlens organisms evaluate --family {self.directory.parent} "
                f"--json > {path}` measures its family"
            )
        figures = check_kinds(read_json(path, "the figures of a family"), {"models": dict, "pairs": dict}, path)
        if name not in figures["models"]:
            raise InputError(f"{path} knows nothing of {name}, only of {', '.join(figures['models'])}: measure it anew")
        recovered = figures.get("recovered", {})
        return {
            "model": figures["models"][name],
            "pair": figures["pairs"].get(name),
            "recovered": recovered.get(name) if isinstance(recovered, dict) else None,
        }


def organism_names() -> list[str]:
    """List the names of organisms that `load` takes.

    Returns:
        The models first, then their checkpoints.
    """
    models = sorted(path.parent.name for path in _weights().glob("*/config.json"))
    steps = {name: sorted((_weights() / name / "steps").glob("[0-9]*.safetensors")) for name in models}
    checkpoints = [f"{name}@{int(file.stem)}" for name, files in steps.items() for file in files]
    return [PREFIX + name for name in [*models, *checkpoints]]


def names_organism(model: object) -> bool:
    """Tell whether something names an organism: a built-in one, or the directory of a member of a family.

    Args:
        model: A name, a path, or a model.

    Returns:
        Whether it does; a model itself names none.
    """
    if not isinstance(model, str | Path):
        return False
    return is_member_name(str(model)) or (expanded(model) / RECORD).is_file()


def is_member_name(name: str) -> bool:
    """Tell whether a name is one that `organism_files` takes: of a built-in organism, or of a checkpoint in a family.

    Args:
        name: Of a model.

    Returns:
        Whether it is; the directory of a member itself is a model directory as any other.
    """
    return name.startswith(PREFIX) or _directory_and_step(name) is not None


def organism_files(name: str) -> tuple[Path, Path | None]:
    """Find the model directory of an organism, and the file of the checkpoint if one is named.

    Args:
        name: With its prefix, or the directory of a member of a family with `@` and a step.

    Returns:
        The directory and None; for a checkpoint, which is stored as a difference, that of its base and the file.

    Raises:
        InputError: There is no such organism or checkpoint; the existing ones are named.
    """
    in_family = _directory_and_step(name)
    if in_family is not None:
        return _checkpoint(*in_family)
    if name not in organism_names():
        raise InputError(
            f"there is no organism {name!r}; there are {', '.join(organism_names())}."
            f"{did_you_mean(name, organism_names())}"
        )
    model, _, step = name.removeprefix(PREFIX).partition("@")
    directory = _weights() / model
    return (directory, None) if not step else _checkpoint(directory, int(step))


def base_of(directory: Path) -> str | None:
    """Name the base that a member was trained from.

    Args:
        directory: Of the member.

    Returns:
        Its name; None for a base.

    Raises:
        InputError: The directory holds no organism.
    """
    base: str | None = read_record(directory)["base"]
    return base


def read_record(directory: Path) -> dict[str, Any]:
    """Read what a member's directory says of its training.

    Args:
        directory: Of the member.

    Returns:
        `name`, `base` (None for a base), `seed` of the family, `n_steps` of the optimiser, `seconds`, `torch`.

    Raises:
        InputError: The directory holds no organism, or its record is damaged.
    """
    path = directory / RECORD
    if not path.is_file():
        raise InputError(f"{directory} is no organism: it holds no {RECORD}; give a name such as organism/rl-timing")
    kinds = {"name": str, "seed": int, "n_steps": int}
    record = check_kinds(read_json(path, "the record of an organism"), kinds, path)
    if not isinstance(record.get("base"), str | None) or not isinstance(record.get("seconds"), int | float):
        raise InputError(f"{path} is damaged: its base is no name, or its seconds no number; train the member again")
    return record


def _weights() -> Path:
    spec = importlib.util.find_spec("reasonlens.organisms")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).with_name("weights")


def _directory_and_step(name: str) -> tuple[Path, int] | None:
    """Split `DIRECTORY@STEP` of a member of a family; None: it is no such name."""
    directory, at, step = name.rpartition("@")
    if not at or not directory or not step.isdecimal() or not (expanded(directory) / RECORD).is_file():
        return None
    return expanded(directory), int(step)


def _checkpoint(directory: Path, step: int) -> tuple[Path, Path]:
    """Find the directory of a member's base, and the file of a checkpoint."""
    base, file = base_of(directory), directory / "steps" / f"{step:04d}.safetensors"
    if base is None or not file.is_file():
        there = ", ".join(str(int(path.stem)) for path in sorted(file.parent.glob("[0-9]*.safetensors")))
        raise InputError(f"{directory} has no checkpoint of step {step}; there are {there or 'none'}")
    return directory.parent / base, file
