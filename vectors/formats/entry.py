"""Define a format: its name, how it counts layers, and the functions that read and write it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .._directions import Directions


@dataclass(frozen=True, kw_only=True)
class Format:
    """One tool's file. A new one is a module with a `FORMAT`, listed in `registry.py`.

    `read(path, *, behaviour=None, **options)` returns directions. `behaviour` is the name to give them where the file
    holds one behaviour, and the one to take where it holds several; without it the file's own name for the behaviour is
    used, else the name of the file.

    `write(directions, path, *, behaviour=None, layers=None, strength=None, **options)` writes a file. `behaviour` may
    be left out where there is only one; `layers` are 0-based blocks, None means all; `strength` scales each vector so
    that a coefficient of 1 in the tool is this strength here, None writes the vectors as they are.

    Both raise InputError for what cannot be read or written.
    """

    name: str
    about: str  # one line: whose file it is, and what it holds
    suffix: str  # of the file that is written; "" for a directory
    index: str  # how the file numbers the output of block L, in words
    coefficient: str  # what a coefficient of 1 does in the tool
    read: Callable[..., Directions] | None = None
    write: Callable[..., None] | None = None
    several: bool = False  # whether one file can hold several behaviours
    one_layer: bool = False  # whether one file holds a single layer
    needs_model: bool = False  # whether the loaded model is needed for writing
    unwritable: Callable[[Directions], dict[int, str]] | None = None  # layers that the tool cannot steer -> why
    options: dict[str, type] = field(default_factory=dict)  # further options of `read` and `write`, with their types

    def __post_init__(self) -> None:
        if self.read is None and self.write is None:
            raise ValueError(f"format {self.name} can neither be read nor written")

    def cannot_steer(self, directions: Directions) -> dict[int, str]:
        """Find the layers of directions that the tool cannot steer.

        Args:
            directions: The directions.

        Returns:
            Layer -> why the tool cannot steer it.
        """
        reasons = {} if self.unwritable is None else self.unwritable(directions)
        return {layer: why for layer, why in reasons.items() if layer in directions.layers}

    def describe(self) -> dict[str, Any]:
        """Tabulate name, about, whether it can be read and written, and index, for lists of formats."""
        return {
            "name": self.name,
            "about": self.about,
            "reads": self.read is not None,
            "writes": self.write is not None,
            "index": self.index,
        }
