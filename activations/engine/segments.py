"""What is to be averaged, planned before any forward pass: sets of positions, and their layout in a batch.

A segment is a set of positions of one text, kept as intervals (one, unless markup stands inside it). Segments overlap:
sentences lie in the stretch that holds them all. So that a position is read once however many segments hold it, and
so that no sum is long, the intervals of a forward pass are cut into disjoint runs of at most 64 positions: the hook
sums each run, and each segment is the sum of its runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

LONGEST_RUN = 64


@dataclass(frozen=True, slots=True)
class Segments:
    """Intervals [first, stop) of texts, in the order of their texts; those of one segment are averaged together."""

    segment: Int[np.ndarray, " n_intervals"]
    text: Int[np.ndarray, " n_intervals"]
    first: Int[np.ndarray, " n_intervals"]
    stop: Int[np.ndarray, " n_intervals"]

    def take(self, chosen: Bool[np.ndarray, " n_intervals"] | Int[np.ndarray, " n_chosen"]) -> Segments:
        return Segments(self.segment[chosen], self.text[chosen], self.first[chosen], self.stop[chosen])

    def of_texts(self, texts: Int[np.ndarray, " n_texts"]) -> Segments:
        """The intervals of these texts only."""
        starts, stops = np.searchsorted(self.text, texts), np.searchsorted(self.text, texts, side="right")
        return self.take(concatenated_ranges(starts, stops))

    @classmethod
    def of(cls, rows: list[tuple[int, int, int, int]]) -> Segments:
        """From rows of (segment, text, first, stop), in the order of their texts."""
        columns = np.array(rows, dtype=np.int64).reshape(-1, 4).T
        return cls(*columns)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a forward pass reads: runs of flat positions (row * width + position), and segments as sums of runs."""

    positions: Int[np.ndarray, " n_positions"]
    run_starts: Int[np.ndarray, " n_runs"]  # where each run begins in `positions`
    runs: Int[np.ndarray, " n_members"]
    segment_starts: Int[np.ndarray, " n_segments"]  # where each segment begins in `runs`
    segments: Int[np.ndarray, " n_segments"]  # which segment each is


def layout(
    segment: Int[np.ndarray, " n_intervals"],
    first: Int[np.ndarray, " n_intervals"],
    stop: Int[np.ndarray, " n_intervals"],
) -> Layout | None:
    """The layout of intervals of flat positions; None where there is nothing to read."""
    kept = stop > first
    if not kept.any():
        return None
    order = np.argsort(segment[kept], kind="stable")
    segment, first, stop = segment[kept][order], first[kept][order], stop[kept][order]
    grid = np.arange(first.min() // LONGEST_RUN + 1, stop.max() // LONGEST_RUN + 1) * LONGEST_RUN
    edges = np.unique(np.concatenate([first, stop, grid]))
    begins, ends = np.searchsorted(edges, first), np.searchsorted(edges, stop)
    depth = np.zeros(len(edges), dtype=np.int64)
    np.add.at(depth, begins, 1)
    np.add.at(depth, ends, -1)
    is_read = depth.cumsum()[:-1] > 0
    number = is_read.cumsum() - 1  # of the run that begins at each edge
    run_first, run_stop = edges[:-1][is_read], edges[1:][is_read]
    named, members = np.unique(segment, return_inverse=True)
    n_runs = np.bincount(members, weights=ends - begins).astype(np.int64)
    return Layout(
        positions=concatenated_ranges(run_first, run_stop),
        run_starts=_starts(run_stop - run_first),
        runs=concatenated_ranges(number[begins], number[begins] + ends - begins),
        segment_starts=_starts(n_runs),
        segments=named,
    )


def concatenated_ranges(starts: Int[np.ndarray, " n"], stops: Int[np.ndarray, " n"]) -> Int[np.ndarray, " total"]:
    """start..stop of each, one after the other."""
    lengths = stops - starts
    found: np.ndarray[Any, np.dtype[np.int64]] = np.arange(lengths.sum()) + np.repeat(
        starts - _starts(lengths), lengths
    )
    return found


def _starts(lengths: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    found: np.ndarray[Any, np.dtype[np.int64]] = np.cumsum(lengths) - lengths
    return found
