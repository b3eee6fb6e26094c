"""Count how often a verdict was looked at, and spend the level of its intervals over the looks.

Going on with a larger budget until a sentence comes out is optional stopping: of intervals that miss the truth in 5% of
runs one in several looks does so far more often. So each look at more problems spends half of what is left:

    look j misses in at most  5% / 2^j  of runs: intervals of 97.5%, 98.75%, 99.375%, ...

The shares add up to less than 5% however many looks there will be, and whatever decides whether there is another one
(Bonferroni's inequality over looks; spending the level: Lan & DeMets 1983). That holds of every figure by itself: a
sentence that rests on two of them is wrong no more often than their misses together. A call whose exchange has no more
problems than the last one says what was said, and is no look.

Looks are kept twice, in `looks.json` and in the result: where the two differ, or one is gone, the longer list counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...rundir import brief, from_row, parse_json, reading, to_row, write_json
from ...rundir.result_files import RESULTS
from ...stats import LEVEL

LOOKS = "looks.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A sentence that was said.

    Attributes:
        n_problems: Problems that were exchanged by then.
        level: Share of runs in which an interval of this look holds its truth.
    """

    n_problems: int
    level: float

    __repr__ = brief


def level_of_look(number: int) -> float:
    """Compute the level of the intervals of a look.

    Args:
        number: Of the look, from 1.

    Returns:
        1 less 5% / 2^number.
    """
    return 1 - (1 - LEVEL) / 2.0**number


def with_look(looks: Sequence[Look], n_problems: int) -> tuple[Look, ...]:
    """Add a look, where there are more problems than at the last one.

    Args:
        looks: So far.
        n_problems: That are exchanged now; 0: none could be.

    Returns:
        The looks, this one among them.
    """
    if n_problems <= max((look.n_problems for look in looks), default=0):
        return tuple(looks)
    return (*looks, Look(n_problems=n_problems, level=level_of_look(len(looks) + 1)))


def read_looks(place: Path) -> tuple[Look, ...]:
    """Read the looks of earlier calls.

    Args:
        place: Directory of the run.

    Returns:
        The looks, the first one first: of `looks.json` or of the result, whichever holds more.

    Raises:
        InputError: A file is damaged.
    """
    return max((_looks_in(place / name) for name in (LOOKS, RESULTS)), key=len)


def _looks_in(path: Path) -> tuple[Look, ...]:
    if not path.is_file():
        return ()
    with reading(path, "the looks of a verdict"):
        content: Any = parse_json(path.read_bytes(), path)
        return tuple(from_row(Look, look) for look in content["looks"])


def write_looks(place: Path, looks: Sequence[Look]) -> None:
    """Keep the looks.

    Args:
        place: Directory of the run.
        looks: All of them.
    """
    write_json(place / LOOKS, {"looks": [to_row(look) for look in looks]})


def looks_in_words(looks: Sequence[Look]) -> str:
    """Say how often was looked, and what that costs.

    Args:
        looks: All of them.

    Returns:
        A sentence; empty without a look.
    """
    if not looks:
        return ""
    at = ", ".join(str(look.n_problems) for look in looks)
    return (
        f"Look {len(looks)} at this pair (problems exchanged: {at}): intervals of the exchange are of "
        f"{looks[-1].level * 100:.6g}%, so that over all looks, those to come among them, that of any one figure "
        "misses in at most 5% of runs"
    )
