"""Plan what is averaged, before any forward pass: sets of positions, and their layout in a batch.

A segment is a set of positions of one text, stored as intervals (one, unless markup lies inside it). Segments overlap:
sentences lie in the stretch that holds them all. The intervals of a forward pass are therefore cut into disjoint runs
of at most 64 positions: the hook sums each run, and each segment is the sum of its runs. So a position is read once
however many segments hold it, and no sum is long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

MAX_RUN = 64


@dataclass(frozen=True, slots=True)
class Segments:
    """Intervals [first, stop) of texts, in the order of their texts; those of one segment are averaged together."""

    segment: Int[np.ndarray, " n_intervals"]
    text: Int[np.ndarray, " n_intervals"]
    first: Int[np.ndarray, " n_intervals"]
    stop: Int[np.ndarray, " n_intervals"]

    def take(self, chosen: Bool[np.ndarray, " n_intervals"] | Int[np.ndarray, " n_chosen"]) -> Segments:
        """Select intervals.

        Args:
            chosen: A mask, or the numbers of the intervals.

        Returns:
            The selected intervals.
        """
        return Segments(self.segment[chosen], self.text[chosen], self.first[chosen], self.stop[chosen])

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
        """Make segments from rows.

        Args:
            rows: (segment, text, first, stop), in the order of their texts.

        Returns:
            The segments.
        """
        columns = np.array(rows, dtype=np.int64).reshape(-1, 4).T
        return cls(*columns)


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
) -> Layout | None:
    """Lay out intervals of flat positions; None where there is nothing to read."""
    is_read = stop > first
    if not is_read.any():
        return None
    order = np.argsort(segment[is_read], kind="stable")
    segment, first, stop = segment[is_read][order], first[is_read][order], stop[is_read][order]
    grid = np.arange(first.min() // MAX_RUN + 1, stop.max() // MAX_RUN + 1) * MAX_RUN
    edges = np.unique(np.concatenate([first, stop, grid]))
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
