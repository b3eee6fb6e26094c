"""Read the traces of a file of any form: JSON lines of the house, or what other tools write (`readers/`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from ..rundir import InputError
from .corrections import with_corrections
from .readers import numbered_traces
from .trace import Trace
from .trace_list import TraceList


def iter_traces(
    path: str | Path, *, form: str | None = None, fields: Mapping[str, str] | None = None
) -> Iterator[Trace]:
    """Read the traces of a file one by one; of JSON lines, CSV, Parquet and datasets, never more than a part is held.

    Ids may repeat, since only `read_traces` checks them.

    Args:
        path: The file, of any length; or a directory of a dataset, or `hf:NAME`.
        form: How it is read, such as "messages" or "csv" (`readers.ROW_FORMS`, `readers.FILE_FORMS`); None recognises
            it.
        fields: Field of a trace -> its name in the file, such as {"prompt": "question"}; others are sought by usual
            names.

    Returns:
        An iterator over the traces, in their order. It raises InputError at the first row that is malformed.
    """
    return (trace for _, trace in with_corrections(path, numbered_traces(path, form, fields)))


def read_traces(path: str | Path, *, form: str | None = None, fields: Mapping[str, str] | None = None) -> TraceList:
    """Read all traces of a file.

    Args:
        path: The file; or a directory of a dataset, or `hf:NAME`.
        form: As in `iter_traces`.
        fields: Likewise.

    Returns:
        The traces, in their order.

    Raises:
        InputError: The file cannot be read or holds no trace, a row is malformed, or an id repeats. The message names
            the row.
    """
    return TraceList(unique(path, with_corrections(path, numbered_traces(path, form, fields))))


def unique(path: str | Path, traces: Iterator[tuple[str, Trace]]) -> Iterator[Trace]:
    """Yield traces, and refuse a second one of the same id, and a file without any.

    Args:
        path: The file, for messages.
        traces: Where each trace stands, and the trace.

    Yields:
        The traces.

    Raises:
        InputError: An id repeats, or there is no trace.
    """
    place_of_id: dict[str, str] = {}
    for place, trace in traces:
        if trace.id in place_of_id:
            raise InputError(
                f"{place}: the id {trace.id!r:.60} stands already on {_where(place_of_id[trace.id], path)}; give every "
                f"trace an id of its own, or where it names a problem: `reasonlens traces convert {path} "
                "--field problem=id --out FILE`"
            )
        place_of_id[trace.id] = place
        yield trace
    if not place_of_id:
        raise InputError(
            f"{path} holds no traces: it needs rows with a prompt and a response, such as one JSON object a line with "
            "id, prompt, text and spans"
        )


def _where(place: str, path: str | Path) -> str:
    return place.removeprefix(f"{path}, ")
