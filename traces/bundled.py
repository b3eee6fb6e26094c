"""Read the traces that come with reasonlens: short reasoning in English, labelled sentence by sentence."""

from __future__ import annotations

from pathlib import Path

from .files import read_traces
from .trace_list import TraceList

BUNDLED = Path(__file__).with_name("bundled.jsonl")


def bundled_traces() -> TraceList:
    """Read the bundled traces: one for each problem, every sentence a span with one of the eight behaviours.

    Half of the backtracking sentences hold no tell-tale word, and such words occur in other sentences too; each
    span's `marked` states it.

    Returns:
        The traces.
    """
    return read_traces(BUNDLED)


def place_of(source: str | Path) -> str | Path:
    """Return the file of a source: that of the bundled traces for "bundled", else the source itself."""
    return BUNDLED if source == "bundled" else source
