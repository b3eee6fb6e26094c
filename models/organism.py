"""The model organisms that come with reasonlens: where their weights lie, and what is known of each.

    organism/base      organism/rl      organism/rl@60 (a checkpoint along its training)

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

from ..rundir import InputError
from .handle import LanguageModel

PREFIX = "organism/"
TRUTH = "truth.json"


@dataclass(frozen=True, eq=False, kw_only=True)
class Organism(LanguageModel):
    """A language model of which it is known by rule what it does and what it can."""

    directory: Path

    @cached_property
    def _truth(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.directory / TRUTH).read_text())
        return found

    def truth(self) -> dict[str, Any]:
        """What a method's finding can be held against.

        ["policy"]["habits"][state][move]: probability, along responses that are the same for all organisms.
        ["policy"]["own"][state][move]: the same along what this one says by itself.
        ["skill"]["plain"][move], ["skill"]["doubled"][move]: share of the sentences of right responses, to ordinary
        and to doubled problems, that it would say rightly, given right words before.
        ["behaviours"][move]: the label of its sentences in traces.
        Each number is {value, low, high, n}: 95% interval over the n problems in which it occurs.
        """
        return copy.deepcopy(self._truth)


def organism_names() -> list[str]:
    """The names that `load` takes, models first, then checkpoints."""
    models = sorted(path.parent.name for path in _weights().glob("*/config.json"))
    steps = {name: sorted((_weights() / name / "steps").glob("[0-9]*.safetensors")) for name in models}
    checkpoints = [f"{name}@{int(file.stem)}" for name, files in steps.items() for file in files]
    return [PREFIX + name for name in [*models, *checkpoints]]


def organism_files(name: str) -> tuple[Path, Path | None]:
    """The model directory of an organism, and the file of the checkpoint if one is named (a difference to the base).

    Raises InputError, with the names there are, for any other.
    """
    if name not in organism_names():
        raise InputError(f"there is no organism {name!r}; there are {', '.join(organism_names())}")
    model, _, step = name.removeprefix(PREFIX).partition("@")
    if not step:
        return _weights() / model, None
    return _weights() / "base", _weights() / model / "steps" / f"{int(step):04d}.safetensors"


def _weights() -> Path:
    spec = importlib.util.find_spec("reasonlens.organisms")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).with_name("weights")
