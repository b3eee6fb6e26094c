"""A piece of evidence as the budget and the sentence see it: sizes to measure it at, and a function that measures it.

A new piece is one function that measures a pair at a size and returns an `EvidenceLine`, listed in `pieces.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...rundir import InputError, brief
from ..pair import Pair
from .evidence_line import EvidenceLine
from .settings import VerdictSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """A size at which a piece is measured.

    Attributes:
        order: Rungs of all pieces are climbed in this order, the ones that add most first.
        n_problems: Problems that are answered.
        n_samples: Responses of a model to each.
        work: How much there is to do from the rung below on, in responses that a model writes alone, roughly. Only the
            proportion between the rungs of one piece matters once it was tried.
    """

    order: int
    n_problems: int
    n_samples: int
    work: float

    __repr__ = brief

    @property
    def size(self) -> str:
        """The size in words."""
        of_each = "" if self.n_samples == 1 else f" x {self.n_samples} responses"
        return f"{self.n_problems} problems{of_each}"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Setup:
    """What a piece is measured on at a rung, and where.

    Attributes:
        pair: The pair on the problems of the rung.
        common: Settings that the measurements share: `sampling`, `n_test`, `n_rows`, `seed`.
        folder: Where it is kept, relative to the run.
        out: The same folder in full.
    """

    pair: Pair
    common: dict[str, Any]
    folder: str
    out: Path

    __repr__ = brief


@dataclass(frozen=True, eq=False, kw_only=True)
class Subject:
    """A pair at work, and where what is measured of it is kept.

    Attributes:
        pair: The models; `test` holds all problems that may be answered.
        settings: Of the verdict.
        place: Directory of the run.
        progress: Whether bars are shown.
        level: Of the intervals that decide the sentence, at this look (`looks.py`).
    """

    pair: Pair
    settings: VerdictSettings
    place: Path
    progress: bool
    level: float

    __repr__ = brief

    def pair_on(self, first: int, last: int, n_train: int = 0, n_validation: int = 0) -> Pair:
        """Take the pair on some of its problems.

        Args:
            first: Number of the first one.
            last: Number after the last one.
            n_train: Of these, so many are put aside to train on.
            n_validation: And so many to choose on.

        Returns:
            The pair on the rest of them.

        Raises:
            InputError: There are fewer problems.
        """
        if last > len(self.pair.test):
            raise InputError(
                f"this takes {last} problems, and there are {len(self.pair.test)}: give more problems to --problems"
            )
        some = self.pair.test[first:last]
        return replace(
            self.pair,
            train=some[:n_train],
            validation=some[n_train : n_train + n_validation],
            test=some[n_train + n_validation :],
        )

    def setup(self, folder: str, rung: Rung, n_train: int = 0, n_validation: int = 0) -> Setup:
        """Take the first problems for a piece that is measured anew at each rung, and name its settings and folder.

        Args:
            folder: Where the piece is kept, relative to the run.
            rung: Says how many problems, and how many responses to each.
            n_train: Of the problems, so many are put aside to train on.
            n_validation: And so many to choose on.

        Returns:
            The pair on the rest of them, and what all measurements are set to.

        Raises:
            InputError: There are fewer problems.
        """
        pair = self.pair_on(0, rung.n_problems, n_train, n_validation)
        common = {
            "sampling": replace(self.settings.sampling, n_samples=rung.n_samples),
            "n_test": len(pair.test),
            "n_rows": self.settings.n_rows,
            "seed": self.settings.seed,
        }
        return Setup(pair=pair, common=common, folder=folder, out=self.place / folder)


Measure = Callable[[Subject, tuple[Rung, ...]], EvidenceLine]  # the rungs up to the one that is measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A piece of evidence.

    Attributes:
        name: Of the verb that measures it.
        rungs: Sizes, each larger than the one before; the first one is the trial by which times are estimated.
        measure: Measures the pair at the last of some rungs; what the rungs below left behind may be used.
    """

    name: str
    rungs: tuple[Rung, ...]
    measure: Measure

    __repr__ = brief
