"""Where an activation was read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Example:
    """The span that an activation was read from."""

    trace: str
    problem: str
    label: str
    start: int  # characters of the trace's text
    end: int
    text: str
    marked: bool | None  # holds a tell-tale word of its behaviour
