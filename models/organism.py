"""Find the model organisms that come with reasonlens: their weights, and what is known of each.

    organism/base      organism/rl      organism/rl@60 (a checkpoint of its training)

This module reads files only; the task, the training and the figures of the organisms are in `reasonlens.organisms`.
"""

from __future__ import annotations

import copy
import importlib.util
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..rundir import InputError, did_you_mean
from .handle import LanguageModel

PREFIX = "organism/"
TRUTH = "truth.json"


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Organism(LanguageModel):
    """A language model whose behaviour and skill are known by rule."""

    directory: Path

    @cached_property
    def _truth(self) -> dict[str, Any]:
        truth: dict[str, Any] = json.loads((self.directory / TRUTH).read_text())
        return truth

    def truth(self) -> dict[str, Any]:
        """Return the known truth, with which the results of a method can be compared.

        ["policy"]["habits"][state][move]: probability, along responses that are the same for all organisms.
        ["policy"]["own"][state][move]: the same along what this organism writes by itself.
        ["skill"]["plain"][move], ["skill"]["doubled"][move]: share of the sentences of right responses, to ordinary
        and to doubled problems, that it would write correctly after the right words before.
        ["behaviours"][move]: the label of its sentences in traces.
        Each number is {value, low, high, n}: 95% interval over the n problems in which it occurs.

        Returns:
            A copy of the truth.
        """
        return copy.deepcopy(self._truth)


def organism_names() -> list[str]:
    """List the names of organisms that `load` takes.

    Returns:
        The models first, then their checkpoints.
    """
    models = sorted(path.parent.name for path in _weights().glob("*/config.json"))
    steps = {name: sorted((_weights() / name / "steps").glob("[0-9]*.safetensors")) for name in models}
    checkpoints = [f"{name}@{int(file.stem)}" for name, files in steps.items() for file in files]
    return [PREFIX + name for name in [*models, *checkpoints]]


def organism_files(name: str) -> tuple[Path, Path | None]:
    """Find the model directory of an organism, and the file of the checkpoint if one is named.

    The checkpoint is a difference to the base. Raises InputError with the existing names for any other name.
    """
    if name not in organism_names():
        raise InputError(
            f"there is no organism {name!r}; there are {', '.join(organism_names())}."
            f"{did_you_mean(name, organism_names())}"
        )
    model, _, step = name.removeprefix(PREFIX).partition("@")
    if not step:
        return _weights() / model, None
    return _weights() / "base", _weights() / model / "steps" / f"{int(step):04d}.safetensors"


def _weights() -> Path:
    spec = importlib.util.find_spec("reasonlens.organisms")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).with_name("weights")
