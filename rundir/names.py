"""Name the nearest valid name where a user gave one that is not, and give results the manners of a dictionary."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, KeysView
from difflib import get_close_matches
from pathlib import Path
from typing import Generic, TypeVar

Part = TypeVar("Part")


def did_you_mean(name: object, names: Iterable[object], cutoff: float = 0.6) -> str:
    """Name what was probably meant, as the end of a message.

    Args:
        name: What was given: a name, or the number of a layer.
        names: What is valid.
        cutoff: How alike a name must be, from 0 to 1; the nearest number is always named.

    Returns:
        " Did you mean 'backtracking'?", or nothing where no name is alike.
    """
    valid = list(names)
    if isinstance(name, int) and not isinstance(name, bool):
        numbers = [number for number in valid if isinstance(number, int)]
        return f" Did you mean {min(numbers, key=lambda number: abs(number - name))}?" if numbers else ""
    by_lower = {str(choice).lower(): choice for choice in valid}
    nearest = get_close_matches(str(name).lower()[:200], by_lower, n=1, cutoff=cutoff)
    return f" Did you mean {by_lower[nearest[0]]!r}?" if nearest else ""


def nearest_file(path: str | Path) -> str:
    """Name a file in the same directory that is called almost like one that is not there.

    Args:
        path: The file that is not there.

    Returns:
        The end of a message, or nothing where no file is called alike.
    """
    place = Path(path)
    try:
        if place.exists():
            return ""
        beside = sorted(entry.name for entry in place.parent.iterdir())
    except (OSError, ValueError):
        return ""
    nearest = get_close_matches(place.name, beside[:10_000], n=1, cutoff=0.6)
    return f" Did you mean {str(place.with_name(nearest[0]))!r}?" if nearest else ""


class ByBehaviour(Generic[Part]):
    """What holds a part for each behaviour: `for name in it`, `len`, `in`, `keys()`, `items()`, `it[name]`."""

    __slots__ = ()

    @abstractmethod
    def _by_behaviour(self) -> dict[str, Part]:
        """Return the part of each behaviour."""

    def __iter__(self) -> Iterator[str]:
        """Iterate over the behaviours."""
        return iter(self._by_behaviour())

    def __len__(self) -> int:
        """Count the behaviours."""
        return len(self._by_behaviour())

    def __bool__(self) -> bool:
        """Return True, also without behaviours: only `None` is nothing."""
        return True

    def __contains__(self, behaviour: object) -> bool:
        """Tell whether there is a part for a behaviour."""
        return isinstance(behaviour, str) and behaviour in self._by_behaviour()

    def keys(self) -> KeysView[str]:
        """Return the behaviours."""
        return self._by_behaviour().keys()

    def values(self) -> list[Part]:
        """Return the part of every behaviour."""
        return list(self._by_behaviour().values())

    def items(self) -> list[tuple[str, Part]]:
        """Return every behaviour with its part."""
        return list(self._by_behaviour().items())
