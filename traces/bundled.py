"""Read the traces that come with reasonlens: short reasoning in English, labelled sentence by sentence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .jsonl import read_traces
from .trace import Trace

BUNDLED = Path(__file__).with_name("bundled.jsonl")


def bundled_traces() -> list[Trace]:
    """Read the bundled traces: one for each problem, every sentence a span with one of the eight behaviours.

    Half of the backtracking sentences hold no tell-tale word, and such words occur in other sentences too; each
    span's `marked` states it.

    Returns:
        The traces.
    """
    return read_traces(BUNDLED)


def resolve_traces(traces: str | Path | Sequence[Trace]) -> list[Trace]:
    """Read traces from whatever names or holds them.

    Args:
        traces: "bundled", a JSONL file, or traces.

    Returns:
        The traces.

    Raises:
        InputError: The file cannot be read, or a line is malformed.
    """
    if isinstance(traces, str | Path):
        return bundled_traces() if traces == "bundled" else read_traces(traces)
    return list(traces)
