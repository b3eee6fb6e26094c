"""Add up the moments of windows in a file: the sum, and how many windows it holds, are written in one atomic step."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...rundir import InputError, RunDirectory, differences
from ..collection import Collection, ReadAndSite
from ..store.provenance import without_names
from .moments import Moments, as_collection, read_moments, write_moments

FILE = "moments.safetensors"


@dataclass(frozen=True, slots=True)
class Step:
    """A place in the sequence of windows: how many there are up to it, and a digest of all of them."""

    n_windows: int = 0
    chain: str = ""

    def after(self, window: str) -> Step:
        """Return the place after one more window, which has this digest."""
        return Step(self.n_windows + 1, hashlib.sha256(f"{self.chain}{window}".encode()).hexdigest())


class WindowSum:
    """The sum over windows, taken in their order, and the file that holds it."""

    def __init__(self, run: RunDirectory, description: dict[str, Any], tokens_per_batch: int) -> None:
        self._run, self._file, self.description = run, run.file(FILE), description
        self.tokens_per_batch = tokens_per_batch
        self._sum: dict[ReadAndSite, Moments] = {}
        self._stored = Step()  # how far the sum in the file goes
        self._complete = False
        self._step = Step()
        if self._file is not None and self._file.is_file():
            self._continue(self._file)

    def _continue(self, file: Path) -> None:
        self._sum, progress = read_moments(file)
        changes = differences(without_names(progress.get("description", {})), without_names(self.description))
        if changes:
            raise InputError(f"{file} holds other moments ({changes}); choose another directory or remove it")
        self.description = progress["description"]  # a copy of the model may have another name
        self._stored = Step(progress["n_windows"], progress["chain"])
        self._complete, self.tokens_per_batch = progress["complete"], progress["tokens_per_batch"]

    def step(self, window: str) -> Step | None:
        """Advance to the next window; None if the sum holds it. Raises InputError if it holds another in its place."""
        self._step = self._step.after(window)
        if self._step.n_windows == self._stored.n_windows and self._step != self._stored:
            raise InputError(
                f"{self._file} holds moments of other traces than those given now; choose another directory, or "
                "remove this one"
            )
        return None if self._step.n_windows <= self._stored.n_windows else self._step

    def add(self, moments: Mapping[ReadAndSite, Moments], step: Step, tokens_per_batch: int) -> None:
        """Add the moments of the window at `step`, which follows the last one that was added, and write the sum."""
        self.tokens_per_batch = tokens_per_batch
        for place, one in moments.items():
            known = self._sum.get(place)
            self._sum[place] = one if known is None else known.absorb(replace(one, model=known.model))
        self._complete = False
        self._write(step)

    def finish(self) -> Collection[Moments] | None:
        """Return the sum and mark it as complete; None, and no file, where nothing could be read.

        Raises InputError if it holds more windows than the traces make.
        """
        if self._step.n_windows < self._stored.n_windows:
            raise InputError(
                f"{self._file} holds moments of more traces than those given now; choose another "
                "directory, or remove it"
            )
        if not any(moments.by_label for moments in self._sum.values()):
            if self._file is not None:
                self._file.unlink(missing_ok=True)
                self._run.abandon()
            return None
        if not self._complete:
            self._complete = True
            self._write(self._step)
        self._run.finish()
        return as_collection(self._sum, "these moments" if self._file is None else str(self._file.parent))

    def _write(self, step: Step) -> None:
        if self._file is None:
            return
        self._run.record()
        progress = {
            "complete": self._complete,
            "n_windows": step.n_windows,
            "chain": step.chain,
            "tokens_per_batch": self.tokens_per_batch,
            "description": self.description,
        }
        write_moments(self._file, self._sum, progress)
