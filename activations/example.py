"""Hold the span that an activation was read from, and how much of the response had been read by then."""

from __future__ import annotations

from dataclasses import dataclass

from ..rundir import brief

CHARACTERS_BEFORE = 200  # of the response, kept with each span


@dataclass(frozen=True, slots=True)
class Example:
    """The span that an activation was read from, with its trace, problem and label, and the text read before it.

    `text_read`, `before` and `read_end` are what could be known at the last token that is read; `text` and `end` are
    known only if the whole span is read.
    """

    trace: str
    problem: str
    label: str
    start: int  # first character in the trace's text
    end: int
    text: str
    marked: bool | None  # whether it holds a tell-tale word of its behaviour
    before: str = ""  # the last characters before the span that were read, at most `CHARACTERS_BEFORE`
    read_end: int | None = None  # the character after the last token that is read; None: the end of the span

    __repr__ = brief

    @property
    def known_end(self) -> int:
        """The character of the trace's text where the read ends, at most the end of the span."""
        return self.end if self.read_end is None else min(self.read_end, self.end)

    @property
    def text_read(self) -> str:
        """The characters of the span up to the end of the read; empty if the read ends before the span."""
        return self.text[: max(self.known_end - self.start, 0)]
