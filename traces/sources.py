"""Take traces as anybody has them: a file, "bundled", Trace objects, or dictionaries with the keys of a JSONL line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from ..rundir import InputError
from .bundled import bundled_traces
from .files import iter_traces, read_traces
from .jsonl import trace_of_row
from .trace import Trace
from .trace_list import TraceList

TraceSource: TypeAlias = str | Path | Trace | Mapping[str, Any] | Iterable[Trace | Mapping[str, Any]]


def stream_traces(traces: TraceSource) -> Iterator[Trace]:
    """Yield traces one by one; a file or generator is never held in memory as a whole.

    Args:
        traces: "bundled", a file of any form (`readers/`), or traces: objects, or dictionaries with
            id, prompt, text and spans.

    Returns:
        An iterator over the traces. It raises InputError where one cannot be read or is something else.

    Raises:
        InputError: `traces` is nothing that can hold traces.
    """
    if isinstance(traces, str | Path):
        return iter(bundled_traces()) if traces == "bundled" else iter_traces(traces)
    if isinstance(traces, Trace | Mapping):
        traces = [traces]
    if not isinstance(traces, Iterable):
        raise InputError(f"{_remedy(traces)}")
    return (_trace(item, number) for number, item in enumerate(traces, start=1))


def resolve_traces(traces: TraceSource) -> TraceList:
    """Read traces into memory from whatever names or holds them.

    Args:
        traces: "bundled", a file of any form (`readers/`), or traces: objects, or dictionaries with
            id, prompt, text and spans.

    Returns:
        The traces.

    Raises:
        InputError: The file cannot be read, a line is malformed, or an item is no trace.
    """
    if isinstance(traces, str | Path):
        return bundled_traces() if traces == "bundled" else read_traces(traces)
    return TraceList(stream_traces(traces))


def _trace(item: Any, number: int) -> Trace:
    if isinstance(item, Trace):
        return item
    if isinstance(item, Mapping):
        return trace_of_row(dict(item), f"trace {number}")
    raise InputError(f"trace {number}: {_remedy(item)}")


def _remedy(item: object) -> str:
    return (
        f"{item!r:.60} ({type(item).__name__}) is no trace; give 'bundled', a JSONL file, Trace objects, or "
        "dictionaries with id, prompt, text and spans"
    )
