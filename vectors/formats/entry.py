"""What a format is: its name, how it counts layers, and the functions that read and write it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..directions import Directions


@dataclass(frozen=True, kw_only=True)
class Format:
    """One tool's file. A new one is a module with a `FORMAT`, listed in `registry.py`."""

    name: str
    about: str  # one line: whose file it is, and what stands in it
    suffix: str  # of the file that is written; "" for a directory
    index: str  # where the output of block L stands, in words
    coefficient: str  # what a coefficient of 1 does in the tool
    read: Callable[..., Directions] | None = None
    write: Callable[..., None] | None = None
    several: bool = False  # whether one file holds several behaviours
    one_layer: bool = False  # whether one file holds one layer only
    needs_model: bool = False  # whether writing it takes the loaded model
    options: dict[str, type] = field(default_factory=dict)  # of `read` and `write`, beyond those that all have

    def __post_init__(self) -> None:
        if self.read is None and self.write is None:
            raise ValueError(f"format {self.name} can neither be read nor written")

    def describe(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "about": self.about,
            "reads": self.read is not None,
            "writes": self.write is not None,
            "index": self.index,
        }
