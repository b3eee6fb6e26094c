"""Take contrast pairs as anybody has them: two prompts that differ in what is to be found, and in little else.

    a tuple or list of two texts        steering-vectors: (positive, negative)
    `.positive`, `.negative`            repeng's `DatasetEntry`, `ContrastPair`, and rows of files
    `.positive_str`, `.negative_str`    steering-vectors' `SteeringVectorTrainingSample`
    `chosen`, `rejected`                rows of preference data

Files are read in any form of `readers/`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from ..rundir import InputError, brief, listed, text_of
from .readers import file_rows
from .readers.fields import checked_text

NAMES = (("positive", "negative"), ("positive_str", "negative_str"), ("chosen", "rejected"))
TOKEN_INDICES = ("read_positive_token_index", "read_negative_token_index")


@dataclass(frozen=True, slots=True)
class ContrastPair:
    """A prompt that shows something, and one that does not."""

    positive: str
    negative: str

    __repr__ = brief

    def __post_init__(self) -> None:
        for name in ("positive", "negative"):
            if not text_of(checked_text(getattr(self, name), name), name):
                raise InputError(f"the {name} text of a pair is empty: there is no token to read")


PairSource: TypeAlias = str | Path | Iterable[Any]


def resolve_pairs(pairs: PairSource) -> list[ContrastPair]:
    """Read contrast pairs from whatever names or holds them.

    Args:
        pairs: A file whose rows are pairs, or pairs: tuples of two texts, or objects or dictionaries with one of the
            names above.

    Returns:
        The pairs.

    Raises:
        InputError: The file cannot be read, there is no pair, or an item is none.
    """
    if isinstance(pairs, str | Path):
        rows: Iterable[tuple[str, Any]] = file_rows(pairs)
    elif isinstance(pairs, Iterable) and not isinstance(pairs, Mapping | bytes):
        rows = ((f"pair {number}", pair) for number, pair in enumerate(pairs, start=1))
    else:
        raise InputError(f"{pairs!r:.60} ({type(pairs).__name__}) holds no pairs; {_REMEDY}")
    read = [_pair(pair, place) for place, pair in rows]
    if not read:
        raise InputError(f"there are no pairs{f' in {pairs}' if isinstance(pairs, str | Path) else ''}; {_REMEDY}")
    return read


_REMEDY = "give a file, or a list of (positive, negative) texts"


def _pair(item: Any, place: str) -> ContrastPair:
    try:
        return ContrastPair(*_texts(item))
    except InputError as error:
        raise InputError(f"{place}: {error}") from error


def _texts(item: Any) -> tuple[Any, Any]:
    if isinstance(item, tuple | list):
        if len(item) != 2:
            raise InputError(f"a pair is two texts, and these are {len(item)}; {_REMEDY}")
        return item[0], item[1]
    for positive, negative in NAMES:
        if isinstance(item, Mapping):
            if positive in item and negative in item:
                return item[positive], item[negative]
        elif hasattr(item, positive) and hasattr(item, negative):
            if any(getattr(item, index, None) not in (None, -1) for index in TOKEN_INDICES):
                raise InputError("a pair of its own token index is not supported: end its texts at the token to read")
            return getattr(item, positive), getattr(item, negative)
    names = f"its fields are {listed(item, 20)}" if isinstance(item, Mapping) else f"it is {type(item).__name__}"
    raise InputError(
        f"no pair: {names}; a pair is two texts, or has the fields {' or '.join(' and '.join(pair) for pair in NAMES)}"
    )
