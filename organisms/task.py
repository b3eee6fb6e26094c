"""The problems of the model organisms: from five coloured numbers choose two of different colours that make a target.

    numbers 3 red 12 blue 7 red 9 blue 20 blue . target 19 .          12 + 7, and not 20 - 1

A pair makes the target as a sum (a + b) or as a difference (|a - b|). Every problem has a solution in one of the
ways. In most, the first pair that one comes upon makes the target and clashes in colour: who does not check is caught.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from ..models import InputError

LARGEST = 30
N_NUMBERS = 5
COLOURS = ("red", "blue")

Way = Literal["sums", "differences"]
Family = Literal["sums", "differences", "both"]
Split = Literal["train", "validation", "test"]

# How often each family is drawn. Problems that only differences solve are the rare ones: a solver that always begins
# with sums and runs out of words there loses them, and little else.
FAMILIES: dict[Family, float] = {"sums": 0.58, "both": 0.30, "differences": 0.12}
MISLEADING = 0.55  # share of problems in which the first pair that a search comes upon is a wrong one


@dataclass(frozen=True, slots=True)
class Problem:
    """Distinct numbers from 1 to 30 with their colours, and the target that two of them make."""

    numbers: tuple[int, ...]
    colours: tuple[str, ...]
    target: int

    def makes(self, way: Way, first: int, second: int) -> bool:
        """Whether two numbers make the target in this way, whatever their colours."""
        return (first + second if way == "sums" else abs(first - second)) == self.target

    def colour(self, number: int) -> str:
        return self.colours[self.numbers.index(number)]

    def solutions(self, way: Way) -> set[frozenset[int]]:
        """The pairs that make the target in this way and differ in colour."""
        return {
            frozenset(pair)
            for pair in combinations(self.numbers, 2)
            if self.makes(way, *pair) and self.colour(pair[0]) != self.colour(pair[1])
        }

    def is_solved_by(self, first: int, second: int) -> bool:
        """Whether this pair is a right answer: two of the numbers, different colours, either way."""
        pair = frozenset((first, second))
        return pair in self.solutions("sums") or pair in self.solutions("differences")

    @property
    def family(self) -> Family | None:
        """Which ways solve it; None if neither does."""
        by_sums, by_differences = self.solutions("sums"), self.solutions("differences")
        if by_sums and by_differences:
            return "both"
        return "sums" if by_sums else "differences" if by_differences else None

    @property
    def misleads(self) -> bool:
        """Whether the first pair that a search in order comes upon makes the target and clashes in colour."""
        way: Way = "sums" if self.solutions("sums") else "differences"
        for first in self.numbers:
            # A difference is searched upwards: the number taken is the smaller one.
            need = self.target - first if way == "sums" else self.target + first
            if need in self.numbers and need != first:
                return self.colour(first) == self.colour(need)
        return False

    @property
    def split(self) -> Split:
        """Decided by the content alone (order and colour names aside), so that no problem can be in two splits."""
        key = [self.target, *sorted(self.numbers)]
        bucket = sum(value * 1_000_003**place for place, value in enumerate(key, start=1)) % 2_147_483_647 % 20
        return "test" if bucket < 2 else "validation" if bucket < 3 else "train"


def problems(split: Split, seed: int, families: dict[Family, float] | None = None) -> Iterator[Problem]:
    """Endless distinct problems of a split, drawn by `families` (default FAMILIES)."""
    weights = FAMILIES if families is None else families
    if not weights or set(weights) - set(FAMILIES):
        raise InputError(f"unknown families {sorted(set(weights) - set(FAMILIES))}; there are {', '.join(FAMILIES)}")
    generator = np.random.default_rng([seed, ("train", "validation", "test").index(split)])
    names = list(weights)
    shares = np.array([weights[name] for name in names], dtype=np.float64)
    seen: set[Problem] = set()
    while True:
        family = names[generator.choice(len(names), p=shares / shares.sum())]
        problem = _draw(generator, split, family, misleading=bool(generator.random() < MISLEADING))
        if problem not in seen:
            seen.add(problem)
            yield problem


def _draw(generator: np.random.Generator, split: Split, family: Family, misleading: bool) -> Problem:
    """Numbers built from as many pairs of the target as are needed, then a colouring that gives what is wanted."""
    while True:
        numbers, target = _numbers(generator, family, misleading)
        if len(numbers) != N_NUMBERS or Problem(numbers, COLOURS[:1] * N_NUMBERS, target).split != split:
            continue
        for code in generator.permutation(2**N_NUMBERS):
            problem = Problem(numbers, tuple(COLOURS[int(code) >> place & 1] for place in range(N_NUMBERS)), target)
            if problem.family == family and problem.misleads == misleading:
                return problem


def _numbers(generator: np.random.Generator, family: Family, misleading: bool) -> tuple[tuple[int, ...], int]:
    """Numbers in random order and a target; now and then not five of them, where pairs overlap."""
    first, second = (int(number) for number in generator.choice(np.arange(1, LARGEST + 1), 2, replace=False))
    target = abs(first - second) if family == "differences" or generator.random() < 0.5 else first + second
    sums = [{a, target - a} for a in range(1, LARGEST + 1) if a < target - a <= LARGEST]
    differences = [{a, a + target} for a in range(1, LARGEST + 1 - target)]
    leading, other = (differences, []) if family == "differences" else (sums, differences)
    chosen: set[int] = set()
    for pairs, wanted in ((leading, 2 if misleading else 1), (other, family == "both")):
        for place in generator.permutation(len(pairs))[: int(wanted)]:
            chosen |= pairs[int(place)]
    while len(chosen) < N_NUMBERS:
        chosen.add(int(generator.integers(1, LARGEST + 1)))
    return tuple(int(number) for number in generator.permutation(sorted(chosen))), target
