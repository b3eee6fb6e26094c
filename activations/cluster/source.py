"""Read traces with Ray Data from storage that Ray reads: JSON lines and Parquet at a URL.

Files and datasets of this machine and of the hub are read as everywhere else (`traces/readers/`), without Ray. At a
URL, every row is a trace with the fields of a JSON line. Rows keep the order of the files, so that the same source
always gives the same windows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...rundir import InputError
from ...traces import Trace, iter_traces
from ...traces.jsonl import parse_line, trace_of_row


def ray_traces(source: str) -> Iterator[Trace]:
    """Read the traces of `source`, in order: a URL of .jsonl or .parquet, or what `iter_traces` reads.

    Raises InputError if it is none of these, cannot be read, or a row is no trace.
    """
    if "://" not in source:
        yield from iter_traces(source)
        return
    import ray.data

    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    is_text = source.removesuffix(".gz").endswith((".jsonl", ".json"))
    if not is_text and not source.endswith(".parquet"):
        raise InputError(f"cannot tell what {source} is: give .jsonl or .parquet at a URL, or a file of this machine")
    try:
        dataset = ray.data.read_text(source) if is_text else ray.data.read_parquet(source)
        for number, row in enumerate(dataset.iter_rows(), start=1):
            place = f"{source}, row {number}"
            yield parse_line(row["text"], place) if is_text else trace_of_row(_plain(row), place)
    except (OSError, ray.exceptions.RayError) as error:
        raise InputError(f"cannot read traces from {source}: {error}") from error


def _plain(value: Any) -> Any:
    """Convert Arrow and numpy values to those of JSON; fields without a value are left out."""
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items() if member is not None}
    if isinstance(value, np.ndarray | list | tuple):
        return [_plain(member) for member in value]
    return value.item() if isinstance(value, np.generic) else value
