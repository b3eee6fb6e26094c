"""Hold the span that an activation was read from."""

from __future__ import annotations

from dataclasses import dataclass

from ..rundir import brief


@dataclass(frozen=True, slots=True)
class Example:
    """The span that an activation was read from, with its trace, problem and label."""

    trace: str
    problem: str
    label: str
    start: int  # first character in the trace's text
    end: int
    text: str
    marked: bool | None  # whether it holds a tell-tale word of its behaviour

    __repr__ = brief
