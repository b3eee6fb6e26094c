"""What is read of a text: an interval of tokens for each labelled span, and one for the stretch that holds them all."""

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
    """Segments 0..n-1 are the spans that hold a readable token; then come stretches, one a text with such a span."""

    segments: Segments
    spans: tuple[tuple[int, int], ...]  # (text, number of the span in its trace), in order
    stretches: tuple[int, ...]  # texts
    n_skipped: int  # spans without a readable token


def plan(texts: Sequence[EncodedTrace], read: Read, include_markup: bool) -> Plan:
    """What to read of `texts`. include_markup: attention sinks, special and template tokens too."""
    spans: list[tuple[int, int]] = []
    stretches: list[int] = []
    of_spans: list[tuple[int, int, int, int]] = []  # (segment, text, first, stop)
    of_stretches: list[tuple[int, int, int, int]] = []
    n_skipped = 0
    for index, text in enumerate(texts):
        n_before = len(spans)
        breaks = np.empty(0, dtype=np.int64) if include_markup else np.flatnonzero(text.is_markup)
        for number, span in enumerate(text.spans):
            positions = None if span is None else read.positions(*span)
            parts = [] if positions is None else _parts(positions.start, min(positions.stop, len(text)), breaks)
            of_spans += [(len(spans), index, first, stop) for first, stop in parts]
            if parts:
                spans.append((index, number))
            else:
                n_skipped += 1
        if len(spans) > n_before:
            there = [span for span in text.spans if span is not None]
            whole = _parts(min(first for first, _ in there), max(stop for _, stop in there), breaks)
            of_stretches += [(len(stretches), index, first, stop) for first, stop in whole]
            stretches += [index] if whole else []  # a read may take tokens outside spans that are all markup
    moved = [(len(spans) + number, index, first, stop) for number, index, first, stop in of_stretches]
    rows = sorted([*of_spans, *moved], key=lambda row: row[1])
    return Plan(Segments.of(rows), tuple(spans), tuple(stretches), n_skipped)


def _parts(first: int, stop: int, breaks: Int[np.ndarray, " n"]) -> list[tuple[int, int]]:
    """[first, stop) without the positions `breaks` (ascending), as intervals."""
    inside = breaks[np.searchsorted(breaks, first) : np.searchsorted(breaks, stop)].tolist()
    ends = [first - 1, *inside, stop]
    return [(before + 1, after) for before, after in zip(ends, ends[1:], strict=False) if after > before + 1]
