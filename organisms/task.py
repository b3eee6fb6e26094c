"""The problems: at each of five levels choose the one of six symbols that has the wanted code and not the bad taste.

    sweet fine sour wrong bitter fine salty fine . 3 one kiwi plum fig pear lime nut . 5 two ... .

A problem is of the way `hue` (80%) or `form` (20%), the same at all levels and not told: by that way exactly one
candidate of a level has the wanted code and is not bad (the target, uniform over the places); by the other way none has
the code. In about 60% of levels one more candidate, a trap, has the code and is bad. A token limit makes the two ways
mostly exclusive: who scans level one in vain has seldom room left for the other way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from ..rundir import InputError
from .world import CODE_OF, CODES, SYMBOLS, TASTE, TASTES, WAYS, Way

Split = Literal["train", "validation", "test"]

N_LEVELS = 5
N_CANDIDATES = 6
TRAP_RATE = 0.6
HUE_RATE = 0.8
MAX_RESPONSE_TOKENS = 286  # words of a response; the end token comes on top
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
VERDICTS: tuple[str, str] = ("fine", "wrong")
LEVELS: tuple[str, ...] = ("one", "two", "three", "four", "five")


@dataclass(frozen=True)
class Problem:
    """The bad taste, and for each level the wanted code and the candidates in order."""

    bad: str
    goals: tuple[str, ...]
    candidates: tuple[tuple[str, ...], ...]

    @cached_property
    def way(self) -> Way:
        """The way by which every level has a target."""
        is_hue = any(CODE_OF["hue"][symbol] == self.goals[0] for symbol in self.candidates[0])
        return "hue" if is_hue else "form"

    @cached_property
    def targets(self) -> tuple[str, ...]:
        """The right symbol of each level."""
        return tuple(
            next(symbol for symbol in level if CODE_OF[self.way][symbol] == code and TASTE[symbol] != self.bad)
            for code, level in zip(self.goals, self.candidates, strict=True)
        )

    @property
    def prompt(self) -> str:
        """How the problem is put."""
        levels = zip(LEVELS, self.goals, self.candidates, strict=True)
        verdicts = " ".join(f"{taste} {VERDICTS[taste == self.bad]}" for taste in TASTES)
        return f"{verdicts} ." + "".join(f" {code} {name} {' '.join(level)} ." for name, code, level in levels)

    @property
    def group(self) -> str:
        """Codes and candidates whatever their order and the bad taste: what never stands on two sides of a split."""
        levels = zip(self.goals, self.candidates, strict=True)
        return " / ".join(sorted(f"{code} {' '.join(sorted(level))}" for code, level in levels))

    @property
    def split(self) -> Split:
        """Which split the problem belongs to: a tenth test, a twentieth validation, decided by the group."""
        bucket = int.from_bytes(hashlib.sha256(self.group.encode()).digest()[:8]) % 20
        return "test" if bucket < 2 else "validation" if bucket < 3 else "train"


def problems(split: Split, seed: int, way: Way | None = None) -> Iterator[Problem]:
    """Draw endless problems of a split, no group twice.

    Args:
        split: Which problems.
        seed: Of the draw.
        way: Only problems of this way; None: of both, hue at `HUE_RATE`.

    Returns:
        The problems, one after another.

    Raises:
        InputError: There is no such split or way.
    """
    if split not in SPLITS:
        raise InputError(f"there is no split {split!r}; there are {', '.join(SPLITS)}")
    if way not in (None, *WAYS):
        raise InputError(f"there is no way {way!r}; there are {', '.join(WAYS)}")
    return _drawn(split, seed, way)


def _drawn(split: Split, seed: int, way: Way | None) -> Iterator[Problem]:
    generator = np.random.default_rng([seed, SPLITS.index(split)])
    earlier: set[str] = set()
    while True:
        drawn_way = way or ("hue" if generator.random() < HUE_RATE else "form")
        problem = None
        while problem is None or problem.split != split or problem.group in earlier:
            problem = _draw(generator, drawn_way)
        earlier.add(problem.group)
        yield problem


def _draw(generator: np.random.Generator, way: Way) -> Problem | None:
    """Draw targets and traps, fill up with symbols that have the code by neither way; None where symbols run out."""
    other: Way = "form" if way == "hue" else "hue"
    code_of, other_code_of = CODE_OF[way], CODE_OF[other]
    bad = TASTES[int(generator.integers(len(TASTES)))]
    left = [SYMBOLS[int(place)] for place in generator.permutation(len(SYMBOLS))]
    goals = tuple(CODES[int(code)] for code in generator.integers(len(CODES), size=N_LEVELS))
    levels: list[list[str]] = []
    for code, draw in zip(goals, generator.random(N_LEVELS), strict=True):
        bearers = [symbol for symbol in left if code_of[symbol] == code]
        good = [symbol for symbol in bearers if TASTE[symbol] != bad][:1]
        trap = [symbol for symbol in bearers if TASTE[symbol] == bad][: int(draw < TRAP_RATE)]
        if not good or len(trap) < (draw < TRAP_RATE):
            return None
        levels.append([*good, *trap])
        left = [symbol for symbol in left if symbol not in levels[-1]]
    for number in generator.permutation(N_LEVELS):
        code, level = goals[int(number)], levels[int(number)]
        fillers = [symbol for symbol in left if code not in (code_of[symbol], other_code_of[symbol])]
        level.extend(fillers[: N_CANDIDATES - len(level)])
        if len(level) < N_CANDIDATES:
            return None
        left = [symbol for symbol in left if symbol not in level]
    shuffled = (tuple(level[int(place)] for place in generator.permutation(N_CANDIDATES)) for level in levels)
    return Problem(bad, goals, tuple(shuffled))
