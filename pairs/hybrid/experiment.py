"""One pair under one set of settings, and the directory in which what is made of it is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ...rundir import InputError, RowLog, RunDirectory
from ...rundir.progress import ProgressBar
from ..identity import inputs_of
from ..pair import Pair
from .settings import HybridSettings

KEY = "question"  # of every log: the number of the question in its set, by which random numbers go too


@dataclass(frozen=True, eq=False, kw_only=True)
class Experiment:
    """What every stage is given."""

    pair: Pair
    settings: HybridSettings
    layers: tuple[int, ...]  # blocks of the base to try, from 0
    directory: RunDirectory  # of the pair; without a place, nothing is kept
    progress: bool = False

    @classmethod
    def of(
        cls, pair: Pair, settings: HybridSettings, out: str | Path | None = None, *, progress: bool = False
    ) -> Experiment:
        """Find the layers and look at the directory; nothing is written before the directory is entered.

        Args:
            pair: Models and problems.
            settings: Of the experiment.
            out: Directory of the pair, new or of an earlier run of it; None keeps nothing.
            progress: Whether progress is shown.

        Raises:
            InputError: The base has no such layer, or the directory holds another experiment.
        """
        layers = settings.layers_of(pair.base)
        directory = RunDirectory(
            out,
            "hybrid",
            settings=settings.compared() | {"layers": layers},
            inputs=inputs_of(pair),
            options=settings.free(),
        )
        return cls(pair=pair, settings=settings, layers=layers, directory=directory, progress=progress)

    def answer_once(
        self,
        log: RowLog,
        n_questions: int,
        answer: Callable[[range], Sequence[dict[str, Any]]],
        *,
        desc: str,
        is_many: str,
    ) -> list[dict[str, Any]]:
        """Complete a log of answers, `n_rows` questions at a time.

        The batches are the same in every run, whatever the log holds already: log probabilities depend in their last
        digits on the batch, so of a batch in which an answer is missing, all are made again.

        Args:
            log: Of answers by KEY, on disk or in memory.
            n_questions: Those numbered 0 to `n_questions` - 1 are answered.
            answer: Makes the rows of some questions, in order.
            desc: What is being done, for progress.
            is_many: What there is too much of where the device's memory runs out.

        Returns:
            The rows of all questions, in their order.

        Raises:
            InputError: The device's memory runs out, or the log cannot be written.
        """
        n_rows = self.settings.n_rows
        n_known = n_questions - len(log.missing(range(n_questions)))
        with ProgressBar(
            desc=f"{self.pair.name}: {desc}", unit="problem", total=n_questions, initial=n_known, progress=self.progress
        ) as bar:
            for start in range(0, n_questions, n_rows):
                batch = range(start, min(start + n_rows, n_questions))
                missing = set(log.missing(batch))
                if missing:
                    with enough_memory(f"{n_rows} {is_many} at once"):
                        rows = answer(batch)
                    log.add([row for row in rows if row[KEY] in missing])
                    bar.update(len(missing))
        return [log[number] for number in range(n_questions)]


@contextmanager
def enough_memory(what: str) -> Iterator[None]:
    """Turn a device's lack of memory into advice.

    Raises:
        InputError: The memory ran out.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise InputError(
            f"{what} are too many for the memory of this device; what is done is kept: go on with a smaller --rows "
            f"({error})"
        ) from error
