"""Choose one of many cells by measuring all of them little and the better ones more: successive halving.

1. Every cell is measured on few problems. What moves the model by more than a limit is dropped, with its KL.
2. As many of the others as are half of all cells, the better ones, are measured on twice as many problems.
3. So on, until two or three are left, which are measured on all. The best of these is chosen; of equals the gentler.

Where none of a rung keeps to the limit, the best of those that were dropped last for their rank are measured on
all problems, one by one. Jamieson & Talwalkar 2016 (arXiv 1502.07943); the limit is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

Cell = TypeVar("Cell")
OVER, BEHIND = "over the KL limit", "behind"  # why a cell is dropped


@dataclass(frozen=True, slots=True, kw_only=True)
class CellMeasure:
    """What a cell did on the first n problems."""

    objective: float  # the more the better
    kl_nats: float  # by how much it moves the model
    gentleness: tuple[float, ...] = ()  # of cells with one objective, the smallest is the better


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial(Generic[Cell]):
    """One cell at one rung."""

    cell: Cell
    rung: int
    n: int  # problems
    measured: CellMeasure
    dropped: str = ""  # OVER, BEHIND, or empty: it went on, or is the choice


@dataclass(frozen=True, eq=False, kw_only=True)
class Halving(Generic[Cell]):
    """The whole search: trials in their order, and the choice."""

    trials: tuple[Trial[Cell], ...]
    n_decoded: int  # problems, each counted once for each cell that was measured on it
    n_grid: int  # the same of the full grid

    @property
    def choice(self) -> Trial[Cell] | None:
        """The trial that was chosen; None where no cell keeps to the limit."""
        last = self.trials[-1].rung
        return next((trial for trial in self.trials if trial.rung == last and not trial.dropped), None)


def rungs(n_cells: int, n_problems: int) -> list[tuple[int, int]]:
    """Plan how many cells are measured on how many problems.

    Args:
        n_cells: All of them.
        n_problems: All of them.

    Returns:
        Cells at most, and problems, of each rung; the last has all problems.
    """
    counts = [n_cells]
    while counts[-1] > 3:
        counts.append(counts[-1] // 2)
    sizes = [-(-n_problems // 2 ** (len(counts) - 1 - rung)) for rung in range(len(counts))]
    most: dict[int, int] = {}
    for count, size in zip(counts, sizes, strict=True):
        most.setdefault(size, count)  # of few problems, those of two rungs may be as many
    return [(count, size) for size, count in most.items()]


def successive_halving(
    cells: Sequence[Cell], measure: Callable[[Cell, int], CellMeasure], *, n_problems: int, kl_limit_nats: float
) -> Halving[Cell]:
    """Find the best cell that keeps to a limit.

    Args:
        cells: What is chosen from.
        measure: Measures a cell on the first n problems, all of the smaller sets among them.
        n_problems: Of the last rung.
        kl_limit_nats: A cell that moves the model by more, or by what is no number, is dropped.

    Returns:
        Every trial, and the choice.

    Raises:
        ValueError: There are no cells or problems, or the limit is not above 0.
    """
    if not cells or n_problems < 1 or not kl_limit_nats > 0:
        raise ValueError(f"{len(cells)} cells on {n_problems} problems within {kl_limit_nats} nats are no search")
    search = _Search(measure, kl_limit_nats)
    plan = rungs(len(cells), n_problems)
    rung, going = 0, list(range(len(cells)))
    bench: list[int] = []  # dropped for their rank, the best of the latest rung first
    while going:
        within = search.within(cells, going, rung, plan[rung][1])
        if rung == len(plan) - 1:
            search.drop(within[1:], rung)
            going = within[:1]
            break
        room = plan[rung + 1][0]
        search.drop(within[room:], rung)
        bench, going = within[room:] + bench, within[:room]
        rung = max(number for number, (count, _) in enumerate(plan) if number == rung + 1 or count >= len(going))
    while not going and bench:
        rung += 1
        going = search.within(cells, [bench.pop(0)], rung, n_problems)
    return Halving(trials=tuple(search.trials), n_decoded=sum(search.n_of.values()), n_grid=len(cells) * n_problems)


@dataclass(eq=False)
class _Search(Generic[Cell]):
    """What has been tried."""

    measure: Callable[[Cell, int], CellMeasure]
    limit: float
    trials: list[Trial[Cell]] = field(default_factory=list)
    places: dict[tuple[int, int], int] = field(default_factory=dict)  # number of the cell, rung -> in `trials`
    n_of: dict[int, int] = field(default_factory=dict)  # number of the cell -> problems

    def within(self, cells: Sequence[Cell], numbers: Sequence[int], rung: int, n: int) -> list[int]:
        """Measure some cells, and rank those that keep to the limit, the best first."""
        ranked: list[tuple[tuple[float, ...], int]] = []
        for number in numbers:
            measured = self.measure(cells[number], n)
            is_within = measured.kl_nats <= self.limit
            self.places[number, rung] = len(self.trials)
            self.n_of[number] = n
            trial = Trial(cell=cells[number], rung=rung, n=n, measured=measured, dropped="" if is_within else OVER)
            self.trials.append(trial)
            if is_within:
                ranked.append(((-measured.objective, *measured.gentleness), number))
        return [number for _, number in sorted(ranked)]

    def drop(self, numbers: Sequence[int], rung: int) -> None:
        """Record that some cells were behind."""
        for number in numbers:
            place = self.places[number, rung]
            self.trials[place] = replace(self.trials[place], dropped=BEHIND)


__all__ = ["Halving", "CellMeasure", "Trial", "rungs", "successive_halving"]
