"""The problems of the model organisms: from five coloured numbers choose two of different colours that make a target.

    numbers 3 red 12 blue 7 red 9 blue 20 blue . target 19 .          12 + 7, and not 20 - 1

A pair makes the target as a sum (a + b) or as a difference (|a - b|). In a doubled problem, which is put as `double
target 19` and which the base model never sees, it does so as a + b with one of the two doubled. Every problem has a
solution. In most, the first pair that one comes upon makes the target and clashes in colour: who does not check is
caught.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

import numpy as np

from ..rundir import InputError

LARGEST = 20
N_NUMBERS = 5
COLOURS = ("red", "blue")

Way = Literal["sums", "differences", "doubles"]
Family = Literal["sums", "differences", "both", "doubles"]
Split = Literal["train", "validation", "test"]

# How often each family is drawn. Problems that only differences solve are the rare ones: a solver that always begins
# with sums and runs out of words there loses them, and little else.
FAMILIES: dict[Family, float] = {"sums": 0.58, "both": 0.30, "differences": 0.12}
DOUBLES: dict[Family, float] = {"doubles": 1.0}
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
DRAWS = 200  # attempts at a new problem of one kind before another kind is drawn
MISLEADING = 0.55  # share of problems in which the first pair that a search comes upon is a wrong one


@dataclass(frozen=True, slots=True)
class Problem:
    """Distinct numbers from 1 to 20 with their colours, and the target that two of them make."""

    numbers: tuple[int, ...]
    colours: tuple[str, ...]
    target: int
    is_doubled: bool = False

    def need(self, way: Way, number: int) -> int | None:
        """The number that makes the target with the one taken; None if it cannot be among the numbers.

        A difference is searched upwards and a double from the doubled number, so that one member of a pair needs the
        other in every way, and both do in sums.
        """
        match way:
            case "sums":
                partner = self.target - number
            case "differences":
                partner = self.target + number
            case "doubles":
                partner = self.target - 2 * number
        return partner if 1 <= partner <= LARGEST else None

    @property
    def ways(self) -> tuple[Way, ...]:
        """What may be tried."""
        return ("sums", "differences", "doubles") if self.is_doubled else ("sums", "differences")

    def colour(self, number: int) -> str:
        return self.colours[self.numbers.index(number)]

    def solutions(self, way: Way) -> set[frozenset[int]]:
        """The pairs that make the target in this way and differ in colour."""
        return {
            frozenset((number, other))
            for number, other in permutations(self.numbers, 2)
            if self.need(way, number) == other and self.colour(number) != self.colour(other)
        }

    def is_solved_by(self, first: int, second: int) -> bool:
        """Whether this pair is a right answer: two of the numbers, of different colours, in a way that is asked for."""
        ways: tuple[Way, ...] = ("doubles",) if self.is_doubled else ("sums", "differences")
        return any(frozenset((first, second)) in self.solutions(way) for way in ways)

    @property
    def family(self) -> Family | None:
        """Which ways solve it; None if none does."""
        if self.is_doubled:
            return "doubles" if self.solutions("doubles") else None
        by_sums, by_differences = self.solutions("sums"), self.solutions("differences")
        if by_sums and by_differences:
            return "both"
        return "sums" if by_sums else "differences" if by_differences else None

    @property
    def misleads(self) -> bool:
        """Whether the first pair that a search in order comes upon makes the target and clashes in colour."""
        way: Way = "doubles" if self.is_doubled else "sums" if self.solutions("sums") else "differences"
        for number in self.numbers:
            other = self.need(way, number)
            if other is not None and other in self.numbers and other != number:
                return self.colour(number) == self.colour(other)
        return False

    @property
    def group(self) -> str:
        """Target and numbers, order and colours aside: what never stands on two sides of a split."""
        return " ".join(map(str, [*("double",) * self.is_doubled, self.target, "of", *sorted(self.numbers)]))

    @property
    def content(self) -> tuple[str, frozenset[tuple[int, str]]]:
        """The problem whatever the order of its numbers."""
        return self.group, frozenset(zip(self.numbers, self.colours, strict=True))

    @property
    def split(self) -> Split:
        """Decided by the group, so that no problem, and no reordering or recolouring of one, is in two splits."""
        key = [self.target + 100 * self.is_doubled, *sorted(self.numbers)]
        bucket = sum(value * 1_000_003**place for place, value in enumerate(key, start=1)) % 2_147_483_647 % 20
        return "test" if bucket < 2 else "validation" if bucket < 3 else "train"


def problems(split: Split, seed: int, families: dict[Family, float] | None = None) -> Iterator[Problem]:
    """Endless problems of a split, drawn by `families` (default FAMILIES), none of them twice.

    For validation and test a mere reordering is the same problem, as long as there are others: the rarest kind (both
    ways, misleading) has a few hundred contents in the test split; once they are used up its reorderings come.
    """
    weights = FAMILIES if families is None else families
    unknown = set(weights) - {*FAMILIES, *DOUBLES}
    if unknown or not weights:
        raise InputError(
            f"unknown families {sorted(unknown)}; there are {', '.join([*FAMILIES, *DOUBLES])}, and one is needed"
        )
    if split not in SPLITS:
        raise InputError(f"there is no split {split!r}; there are {', '.join(SPLITS)}")
    generator = np.random.default_rng([seed, SPLITS.index(split)])
    names = list(weights)
    shares = np.array([weights[name] for name in names], dtype=np.float64)
    earlier: set[Problem] = set()
    contents: set[tuple[str, frozenset[tuple[int, str]]]] = set()
    while True:
        family = names[generator.choice(len(names), p=shares / shares.sum())]
        misleading = bool(generator.random() < MISLEADING)
        for attempt in range(DRAWS):
            problem = _draw(generator, split, family, misleading)
            is_new = (
                problem.content not in contents if split != "train" and attempt < DRAWS // 2 else problem not in earlier
            )
            if is_new:
                earlier.add(problem)
                contents.add(problem.content)
                yield problem
                break


def _draw(generator: np.random.Generator, split: Split, family: Family, misleading: bool) -> Problem:
    """Numbers built from as many pairs of the target as are needed, then a colouring that gives what is wanted."""
    is_doubled = family == "doubles"
    while True:
        numbers, target = _numbers(generator, family, misleading)
        if len(numbers) != N_NUMBERS or Problem(numbers, COLOURS[:1] * N_NUMBERS, target, is_doubled).split != split:
            continue
        for code in generator.permutation(2**N_NUMBERS):
            colours = tuple(COLOURS[int(code) >> place & 1] for place in range(N_NUMBERS))
            problem = Problem(numbers, colours, target, is_doubled)
            if problem.family == family and problem.misleads == misleading:
                return problem


def _numbers(generator: np.random.Generator, family: Family, misleading: bool) -> tuple[tuple[int, ...], int]:
    """Numbers in random order and a target; now and then not five of them, where pairs overlap."""
    first, second = (int(number) for number in generator.choice(np.arange(1, LARGEST + 1), 2, replace=False))
    span = range(1, LARGEST + 1)
    leading: list[set[int]]
    other: list[set[int]] = []
    if family == "doubles":
        target = 2 * first + second
        leading = [{a, target - 2 * a} for a in span if 1 <= target - 2 * a <= LARGEST and target != 3 * a]
    else:
        target = abs(first - second) if family == "differences" or generator.random() < 0.5 else first + second
        sums = [{a, target - a} for a in span if a < target - a <= LARGEST]
        differences = [{a, a + target} for a in span if a + target <= LARGEST]
        leading, other = (differences, []) if family == "differences" else (sums, differences)
    chosen: set[int] = set()
    for pairs, n_pairs in ((leading, 2 if misleading else 1), (other, family == "both")):
        for place in generator.permutation(len(pairs))[: int(n_pairs)]:
            chosen |= pairs[int(place)]
    while len(chosen) < N_NUMBERS:
        chosen.add(int(generator.integers(1, LARGEST + 1)))
    return tuple(int(number) for number in generator.permutation(sorted(chosen))), target
