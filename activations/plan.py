"""Plan what is read of a text: the tokens of each labelled span, and of the stretch that holds all spans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from ..traces import EncodedTrace
from .engine import Segments
from .read import Read


@dataclass(frozen=True, eq=False, slots=True)
class Plan:
    """The segments to read: first the spans with a readable token, then a stretch for each text that has one."""

    segments: Segments
    spans: tuple[tuple[int, int], ...]  # (text, number of the span in its trace), in order
    stretches: tuple[int, ...]  # the text of each
    n_skipped: int  # spans without a readable token


def plan(texts: Sequence[EncodedTrace], read: Read, include_markup: bool) -> Plan:
    """Plan what to read of `texts`; `include_markup` adds attention sinks, special and template tokens."""
    spans: list[tuple[int, int]] = []
    stretches: list[int] = []
    span_rows: list[tuple[int, int, int, int]] = []  # (segment, text, first, stop)
    stretch_rows: list[tuple[int, int, int, int]] = []
    n_skipped = 0
    for index, text in enumerate(texts):
        n_before = len(spans)
        breaks = np.empty(0, dtype=np.int64) if include_markup else np.flatnonzero(text.is_markup)
        for number, span in enumerate(text.spans):
            positions = None if span is None else read.positions(*span)
            parts = [] if positions is None else _parts(positions.start, min(positions.stop, len(text)), breaks)
            span_rows += [(len(spans), index, first, stop) for first, stop in parts]
            if parts:
                spans.append((index, number))
            else:
                n_skipped += 1
        if len(spans) > n_before:
            intervals = [span for span in text.spans if span is not None]
            stretch = _parts(min(first for first, _ in intervals), max(stop for _, stop in intervals), breaks)
            stretch_rows += [(len(stretches), index, first, stop) for first, stop in stretch]
            stretches += [index] if stretch else []  # a read may take tokens outside spans that are all markup
    renumbered = [(len(spans) + number, index, first, stop) for number, index, first, stop in stretch_rows]
    rows = sorted([*span_rows, *renumbered], key=lambda row: row[1])
    return Plan(Segments.of(rows), tuple(spans), tuple(stretches), n_skipped)


def _parts(first: int, stop: int, breaks: Int[np.ndarray, " n"]) -> list[tuple[int, int]]:
    """Cut [first, stop) into the intervals between the positions `breaks` (ascending)."""
    inside = breaks[np.searchsorted(breaks, first) : np.searchsorted(breaks, stop)].tolist()
    ends = [first - 1, *inside, stop]
    return [(before + 1, after) for before, after in zip(ends, ends[1:], strict=False) if after > before + 1]
