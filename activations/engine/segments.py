"""Plan what is averaged, before any forward pass: sets of positions, and their layout in a batch.

A segment is a set of positions of one text, stored as intervals (one, unless markup lies inside it). Segments overlap:
sentences lie in the stretch that holds them all. The intervals of a forward pass are therefore cut into disjoint runs
of at most 64 positions: the hook sums each run, and each segment is the sum of its runs. So a position is read once
however many segments hold it, and no sum is long.

Intervals cut each other only within their group. What is summed for one group then does not depend, to the last bit,
on which other groups there are. An interval of the segment `CUT` is not read, and only cuts the others of its group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

MAX_RUN = 64
CUT = -1  # the segment of intervals that are not read


@dataclass(frozen=True, slots=True)
class Segments:
    """Intervals [first, stop) of texts, in the order of their texts; those of one segment are averaged together."""

    segment: Int[np.ndarray, " n_intervals"]  # `CUT`: not read
    text: Int[np.ndarray, " n_intervals"]
    first: Int[np.ndarray, " n_intervals"]
    stop: Int[np.ndarray, " n_intervals"]
    group: Int[np.ndarray, " n_intervals"]  # of the segment: its intervals are cut at the borders of this group's alone

    def take(self, chosen: Bool[np.ndarray, " n_intervals"] | Int[np.ndarray, " n_chosen"]) -> Segments:
        """Select intervals.

        Args:
            chosen: A mask, or the numbers of the intervals.

        Returns:
            The selected intervals.
        """
        columns = (self.segment, self.text, self.first, self.stop, self.group)
        return Segments(*(column[chosen] for column in columns))

    def of_texts(self, texts: Int[np.ndarray, " n_texts"]) -> Segments:
        """Select the intervals of some texts.

        Args:
            texts: The texts.

        Returns:
            Their intervals.
        """
        starts, stops = np.searchsorted(self.text, texts), np.searchsorted(self.text, texts, side="right")
        return self.take(concatenated_ranges(starts, stops))

    @classmethod
    def of(cls, rows: list[tuple[int, int, int, int]]) -> Segments:
        """Make segments of one group from rows.

        Args:
            rows: (segment, text, first, stop), in the order of their texts.

        Returns:
            The segments.
        """
        segment, text, first, stop = np.array(rows, dtype=np.int64).reshape(-1, 4).T
        return cls(segment, text, first, stop, np.zeros_like(segment))


@dataclass(frozen=True, slots=True)
class Layout:
    """The positions that a forward pass reads: runs of flat positions (row * width + position), and sums of runs."""

    positions: Int[np.ndarray, " n_positions"]
    run_starts: Int[np.ndarray, " n_runs"]  # where each run begins in `positions`
    runs: Int[np.ndarray, " n_members"]
    segment_starts: Int[np.ndarray, " n_segments"]  # where each segment begins in `runs`
    segments: Int[np.ndarray, " n_segments"]  # the number of each


def layout(
    segment: Int[np.ndarray, " n_intervals"],
    first: Int[np.ndarray, " n_intervals"],
    stop: Int[np.ndarray, " n_intervals"],
    group: Int[np.ndarray, " n_intervals"],
) -> Layout | None:
    """Lay out intervals of flat positions, each group by itself; None where there is nothing to read."""
    is_there = stop > first
    parts = []
    for number in np.unique(group[is_there & (segment != CUT)]):
        own = is_there & (group == number)
        parts.append(_layout_of_group(segment[own], first[own], stop[own]))
    if not parts:
        return None
    positions, runs = [part.positions for part in parts], [part.runs for part in parts]
    n_positions, n_runs = _starts(_lengths(positions)), _starts(_lengths([part.run_starts for part in parts]))
    n_members = _starts(_lengths(runs))
    return Layout(
        positions=np.concatenate(positions),
        run_starts=np.concatenate([part.run_starts + n for part, n in zip(parts, n_positions, strict=True)]),
        runs=np.concatenate([part.runs + n for part, n in zip(parts, n_runs, strict=True)]),
        segment_starts=np.concatenate([part.segment_starts + n for part, n in zip(parts, n_members, strict=True)]),
        segments=np.concatenate([part.segments for part in parts]),
    )


def _layout_of_group(
    segment: Int[np.ndarray, " n_intervals"],
    first: Int[np.ndarray, " n_intervals"],
    stop: Int[np.ndarray, " n_intervals"],
) -> Layout:
    """Lay out intervals that are not empty, cut at each other's borders; at least one is read."""
    grid = np.arange(first.min() // MAX_RUN + 1, stop.max() // MAX_RUN + 1) * MAX_RUN
    edges = np.unique(np.concatenate([first, stop, grid]))
    order = np.argsort(segment, kind="stable")
    order = order[segment[order] != CUT]
    segment, first, stop = segment[order], first[order], stop[order]
    begins, ends = np.searchsorted(edges, first), np.searchsorted(edges, stop)
    depth = np.zeros(len(edges), dtype=np.int64)
    np.add.at(depth, begins, 1)
    np.add.at(depth, ends, -1)
    is_run = depth.cumsum()[:-1] > 0
    run_number = is_run.cumsum() - 1  # of the run that begins at each edge
    run_first, run_stop = edges[:-1][is_run], edges[1:][is_run]
    segments, members = np.unique(segment, return_inverse=True)
    n_runs = np.bincount(members, weights=ends - begins).astype(np.int64)
    return Layout(
        positions=concatenated_ranges(run_first, run_stop),
        run_starts=_starts(run_stop - run_first),
        runs=concatenated_ranges(run_number[begins], run_number[begins] + ends - begins),
        segment_starts=_starts(n_runs),
        segments=segments,
    )


def concatenated_ranges(starts: Int[np.ndarray, " n"], stops: Int[np.ndarray, " n"]) -> Int[np.ndarray, " total"]:
    """Concatenate the ranges start..stop."""
    lengths = stops - starts
    numbers: np.ndarray[Any, np.dtype[np.int64]] = np.arange(lengths.sum()) + np.repeat(
        starts - _starts(lengths), lengths
    )
    return numbers


def _starts(lengths: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    starts: np.ndarray[Any, np.dtype[np.int64]] = np.cumsum(lengths) - lengths
    return starts


def _lengths(arrays: list[Int[np.ndarray, " n"]]) -> Int[np.ndarray, " n_arrays"]:
    return np.array([len(array) for array in arrays], dtype=np.int64)
