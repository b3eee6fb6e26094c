"""Convert a file of any form to JSON lines of reasonlens, a row at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ..rundir import InputError, atomic_path, expanded, is_there
from ..rundir.progress import with_progress
from .bundled import place_of
from .files import unique
from .jsonl import trace_row
from .readers import numbered_traces

SUFFIXES = ("", ".jsonl", ".json", ".txt")


def traces_convert(
    source: str | Path,
    out: str | Path,
    *,
    form: str | None = None,
    fields: Mapping[str, str] | None = None,
    progress: bool = True,
) -> int:
    """Convert what another tool wrote to a file of traces.

    Args:
        source: A file, gzipped or not, a directory of a dataset, `hf:NAME`, or "bundled".
        out: The JSONL file to write; it is whole or not there.
        form: How the source is read, such as "messages" or "csv"; None recognises it.
        fields: Field of a trace -> its name in the source, such as {"prompt": "question", "problem": "id"}; others are
            sought by usual names.
        progress: Show how many traces were read.

    Returns:
        How many traces were written.

    Raises:
        InputError: The source cannot be read or holds no trace, a row is no trace, an id repeats, or `out` is the
            source or the name of a file of another kind.
    """
    target, source = expanded(out), place_of(source)
    if target.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"traces are written as JSON lines, and {target.name!r:.60} is no name for them; call it .jsonl"
        )
    if is_there(target) and is_there(place := expanded(source)) and target.samefile(place):
        raise InputError(
            f"{target} is the file that is converted, and what is not read of it would be lost: choose another --out"
        )
    n_traces = 0
    with atomic_path(target) as temporary, temporary.open("w", encoding="utf-8") as file:
        traces = unique(source, numbered_traces(source, form, fields))
        for trace in with_progress(traces, desc="converting", unit="trace", progress=progress):
            file.write(json.dumps(trace_row(trace), ensure_ascii=False) + "\n")
            n_traces += 1
    return n_traces
