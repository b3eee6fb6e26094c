"""Plan what is read of a text: the tokens of each labelled span, by each read, and the stretch that holds all spans.

What one read sums must not depend on which other reads there are. So each read is laid out by itself (a group of
segments), and the stretches are cut at the borders of all labelled spans, whatever is read of these. A span's tokens
are the same cuts, so the read `mean` shares the stretches' group, and its tokens are summed once for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int

from ..traces import EncodedTrace
from .engine import Segments
from .engine.segments import CUT
from .read import Read

WITH_STRETCHES = 0  # the group of the stretches


@dataclass(frozen=True, eq=False, slots=True)
class ReadPlan:
    """What one read takes: the spans with a token for it, in order."""

    spans: tuple[tuple[int, int], ...]  # (text, number of the span in its trace)
    first: int  # the segment of the first span; the others follow
    n_skipped: int  # spans without a token for it
    stretches: Int[np.ndarray, " n"]  # the stretches of texts with such a span

    @property
    def stop(self) -> int:
        """The segment after that of the last span."""
        return self.first + len(self.spans)


@dataclass(frozen=True, eq=False, slots=True)
class Plan:
    """The segments to read: the spans of each read in turn, then a stretch for each text with a token in it."""

    segments: Segments
    reads: tuple[ReadPlan, ...]
    stretches: tuple[int, ...]  # the text of each
    first_stretch: int  # its segment

    def of_read(self, read: ReadPlan) -> Segments:
        """Select the segments of one read.

        Args:
            read: One of `reads`.

        Returns:
            Its segments, numbered from 0.
        """
        number = self.segments.segment
        chosen = self.segments.take((number >= read.first) & (number < read.stop))
        return replace(chosen, segment=chosen.segment - read.first)


def plan(texts: Sequence[EncodedTrace], reads: Sequence[Read], include_markup: bool) -> Plan:
    """Plan what to read of `texts`, all of which run that have a labelled token, whatever is read of it.

    Args:
        texts: The texts with their spans.
        reads: Which tokens of each span are averaged together.
        include_markup: Also read attention sinks, special and template tokens.

    Returns:
        The plan.
    """
    n_reads = len(reads)
    stretch = n_reads  # the kind of a row; below it are the reads
    spans: list[list[tuple[int, int]]] = [[] for _ in reads]
    read_stretches: list[list[int]] = [[] for _ in reads]
    stretches: list[int] = []
    rows: list[tuple[int, int, int, int, int]] = []  # (kind, number within it, text, first, stop)
    for index, text in enumerate(texts):
        labelled = [(number, span) for number, span in enumerate(text.spans) if span is not None]
        if not labelled:
            continue
        breaks = np.empty(0, dtype=np.int64) if include_markup else np.flatnonzero(text.is_markup)
        for kind, read in enumerate(reads):
            for number, span in labelled:
                positions = read.positions(*span)
                parts = _parts(positions.start, min(positions.stop, len(text)), breaks)
                rows += [(kind, len(spans[kind]), index, first, stop) for first, stop in parts]
                spans[kind] += [(index, number)] if parts else []
        rows += [(CUT, CUT, index, *span) for _, span in labelled]
        parts = _parts(min(first for _, (first, _) in labelled), max(stop for _, (_, stop) in labelled), breaks)
        if parts:  # else the spans are all markup, though a read may take tokens outside
            rows += [(stretch, len(stretches), index, first, stop) for first, stop in parts]
            for own, own_stretches in zip(spans, read_stretches, strict=True):
                own_stretches += [len(stretches)] if own and own[-1][0] == index else []
            stretches.append(index)
    firsts = np.cumsum([0, *map(len, spans)])
    kinds, numbers, in_text, first, stop = np.array(rows, dtype=np.int64).reshape(-1, 5).T
    groups = [WITH_STRETCHES if read == Read.mean() else 1 + kind for kind, read in enumerate(reads)]
    segments = Segments(
        segment=np.where(kinds == CUT, CUT, numbers + firsts[kinds]),
        text=in_text,
        first=first,
        stop=stop,
        group=np.array([*groups, WITH_STRETCHES, WITH_STRETCHES])[kinds],  # that of CUT is the last
    )
    n_spans = sum(len(text.spans) for text in texts)
    return Plan(
        segments=segments,
        reads=tuple(
            ReadPlan(tuple(own), int(start), n_spans - len(own), np.array(own_stretches, dtype=np.int64))
            for own, start, own_stretches in zip(spans, firsts[:-1], read_stretches, strict=True)
        ),
        stretches=tuple(stretches),
        first_stretch=int(firsts[stretch]),
    )


def _parts(first: int, stop: int, breaks: Int[np.ndarray, " n"]) -> list[tuple[int, int]]:
    """Cut [first, stop) into the intervals between the positions `breaks` (ascending)."""
    inside = breaks[np.searchsorted(breaks, first) : np.searchsorted(breaks, stop)].tolist()
    ends = [first - 1, *inside, stop]
    return [(before + 1, after) for before, after in zip(ends, ends[1:], strict=False) if after > before + 1]
