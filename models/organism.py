"""Find the model organisms that come with reasonlens: their weights, and what is known of each.

    organism/base-timing      organism/rl-timing      organism/rl-timing@30 (a checkpoint of its training)

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
    return str(model).startswith(PREFIX) or (expanded(model) / RECORD).is_file()


def organism_files(name: str) -> tuple[Path, Path | None]:
    """Find the model directory of an organism, and the file of the checkpoint if one is named.

    Args:
        name: With its prefix.

    Returns:
        The directory and None; for a checkpoint, which is stored as a difference, that of its base and the file.

    Raises:
        InputError: There is no such organism; the existing ones are named.
    """
    if name not in organism_names():
        raise InputError(
            f"there is no organism {name!r}; there are {', '.join(organism_names())}."
            f"{did_you_mean(name, organism_names())}"
        )
    model, _, step = name.removeprefix(PREFIX).partition("@")
    directory = _weights() / model
    if not step:
        return directory, None
    base = base_of(directory)
    assert base is not None, "only what was trained from a base has checkpoints"
    return _weights() / base, directory / "steps" / f"{int(step):04d}.safetensors"


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
