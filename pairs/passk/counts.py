"""Hold how many samples of each problem are right, and match the counts of two models problem by problem.

    {"id": "aime-7", "n": 128, "c": 3}        a row of a file of counts: n samples, c of them right

`right_steps`, where a row has it, counts the right samples of which every step is right too. Only problems that both
models answered are compared; what is left out is counted and said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from ...rundir import InputError, brief, shown

Numbers = Int[np.ndarray, " n_problems"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemCounts:
    """The samples of one problem."""

    id: str
    n: int  # samples
    c: int  # of them right
    right_steps: int | None = None  # right, and every step right too; None: not known

    __repr__ = brief

    @classmethod
    def of(cls, row: object, where: str) -> ProblemCounts:
        """Read a row of counts.

        Args:
            row: An object with `id`, `n`, `c` and perhaps `right_steps`.
            where: Where it stands, for the message.

        Returns:
            The counts.

        Raises:
            InputError: A field is missing or no whole number, or more samples are right than there are.
        """
        if not isinstance(row, Mapping):
            raise InputError(f'{where}: a row is an object such as {{"id": "p1", "n": 128, "c": 3}}, not {shown(row)}')
        if missing := [name for name in ("id", "n", "c") if name not in row]:
            raise InputError(
                f'{where}: the row lacks {" and ".join(missing)}; a row is {{"id": "p1", "n": 128, "c": 3}}: n samples '
                "of a problem, c of them right"
            )
        name = row["id"]
        if isinstance(name, bool) or not isinstance(name, str | int) or name == "":
            raise InputError(f"{where}: id is {shown(name)}, and must be a text or a whole number")
        n, c = (_count(row[key], key, where) for key in ("n", "c"))
        steps = row.get("right_steps")
        right_steps = None if steps is None else _count(steps, "right_steps", where)
        if c > n:
            raise InputError(f"{where}: c is {c} and n is {n}: no more samples can be right than there are")
        if right_steps is not None and right_steps > c:
            raise InputError(
                f"{where}: right_steps is {right_steps} and c is {c}: of right samples only are steps counted"
            )
        return cls(id=str(name), n=n, c=c, right_steps=right_steps)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Matched:
    """The counts of two models on the same problems.

    Attributes:
        base: Of the model without the training, problem by problem.
        thinking: Of the model with it.
        groups: The problem of each question; None: each is one of its own.
        notes: What was left out, in words.
    """

    base: tuple[ProblemCounts, ...]
    thinking: tuple[ProblemCounts, ...]
    groups: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()

    __repr__ = brief

    @property
    def least(self) -> int:
        """The fewest samples that any problem has: the largest k there is an estimate for."""
        return min(counts.n for counts in (*self.base, *self.thinking))

    @property
    def knows_steps(self) -> bool:
        """Whether right steps are counted in every problem of both models."""
        return all(counts.right_steps is not None for counts in (*self.base, *self.thinking))


def match(
    base: Sequence[ProblemCounts],
    thinking: Sequence[ProblemCounts],
    least_samples: int = 1,
    sources: tuple[str, str] = ("base", "thinking"),
) -> Matched:
    """Match the counts of two models by the ids of problems.

    Args:
        base: Counts of the model without the training.
        thinking: Counts of the model with it.
        least_samples: Problems with fewer samples of either model are left out.
        sources: What the two are called in messages.

    Returns:
        The problems of both, in the order of the base.

    Raises:
        InputError: Fewer than two problems are left.
    """
    other = {counts.id: counts for counts in thinking}
    own = {counts.id for counts in base}
    pairs = [(counts, other[counts.id]) for counts in base if counts.id in other]
    notes = []
    for source, n_only in zip(sources, (len(base) - len(pairs), sum(name not in own for name in other)), strict=True):
        if n_only:
            notes.append(f"{_problems(n_only)} only in {source} {_are(n_only)} left out")
    enough = [pair for pair in pairs if min(pair[0].n, pair[1].n) >= max(1, least_samples)]
    if n_empty := sum(min(one.n, two.n) == 0 for one, two in pairs):
        notes.append(f"{_problems(n_empty)} without any sample of one of the models {_are(n_empty)} left out")
    if n_few := len(pairs) - len(enough) - n_empty:
        notes.append(f"{_problems(n_few)} with fewer than {least_samples} samples {_are(n_few)} left out")
    if len(enough) < 2:
        example = [next((counts.id for counts in some), "") for some in (base, thinking)]
        raise InputError(
            f"{sources[0]} and {sources[1]} have {_problems(len(enough))} in common that can be compared"
            + (f" ({', '.join(notes)})" if notes else "")
            + "; two or more are needed. Are ids written alike? The first are "
            + f"{example[0]!r:.60} and {example[1]!r:.60}"
        )
    sizes = sorted({counts.n for pair in enough for counts in pair})
    if len(sizes) > 1:
        fewest = next(counts for pair in enough for counts in pair if counts.n == sizes[0])
        n_at = sum(min(one.n, two.n) == sizes[0] for one, two in enough)
        notes.append(
            f"problems have {sizes[0]} to {sizes[-1]} samples, so that k goes up to {sizes[0]} ({_problems(n_at)}, "
            f"such as {fewest.id!r:.60})"
        )
    return Matched(base=tuple(one for one, _ in enough), thinking=tuple(two for _, two in enough), notes=tuple(notes))


def without_repeats(rows: Iterable[tuple[str, ProblemCounts]]) -> tuple[ProblemCounts, ...]:
    """Check that each problem has one row.

    Args:
        rows: Where each row stands, and its counts.

    Returns:
        The counts.

    Raises:
        InputError: A problem has two rows, or there is none.
    """
    places: dict[str, str] = {}
    counts = []
    for where, row in rows:
        if row.id in places:
            raise InputError(
                f"{where}: {row.id!r:.60} has a row already ({places[row.id]}); add the counts up, one row a problem"
            )
        places[row.id] = where
        counts.append(row)
    return tuple(counts)


def numbers(counts: Sequence[ProblemCounts], name: str) -> Numbers:
    """Gather one field of all problems.

    Args:
        counts: Problem by problem.
        name: `n`, `c` or `right_steps`.

    Returns:
        The numbers.
    """
    return np.array([getattr(row, name) for row in counts], dtype=np.int64)


def _count(value: Any, name: str, where: str) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InputError(f"{where}: {name} is {shown(value)}, and must be a whole number from 0")
    return value


def _problems(n: int) -> str:
    return f"{n} problem" if n == 1 else f"{n} problems"


def _are(n: int) -> str:
    return "is" if n == 1 else "are"
