"""Read traces with Ray Data: JSONL, Parquet and Hugging Face datasets, on disk or on any storage that Ray reads.

A plain .jsonl file of this machine is streamed without Ray. Every row is a trace with the fields of a JSONL line. Rows
keep the order of the files, so that the same source always gives the same windows.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ...rundir import InputError
from ...traces import Trace
from ...traces.jsonl import iter_traces, parse_line, trace_of_row

HUB = "hf:"


def ray_traces(source: str) -> Iterator[Trace]:
    """Read the traces of `source`, in order: a path or URL of .jsonl or .parquet, or a directory of `save_to_disk`.

    `hf:NAME` is a dataset of the Hugging Face hub (its train split; `hf:NAME:SPLIT` another).
    Raises InputError if it is none of these, cannot be read, or a row is no trace.
    """
    if source.endswith((".jsonl", ".json")) and "://" not in source:
        yield from iter_traces(source)  # line by line, which Ray does not do
        return
    import ray.data

    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    is_text = source.removesuffix(".gz").endswith((".jsonl", ".json"))
    try:
        dataset = _dataset(ray.data, source, is_text)
        for number, row in enumerate(dataset.iter_rows(), start=1):
            place = f"{source}, row {number}"
            yield parse_line(row["text"], place) if is_text else trace_of_row(_plain(row), place)
    except (OSError, ray.exceptions.RayError) as error:
        raise InputError(f"cannot read traces from {source}: {error}") from error


def _dataset(data: Any, source: str, is_text: bool) -> Any:
    if source.startswith(HUB):
        import datasets

        name, _, split = source.removeprefix(HUB).partition(":")
        return data.from_huggingface(datasets.load_dataset(name, split=split or "train"))
    if is_text:
        return data.read_text(source)
    if source.endswith(".parquet"):
        return data.read_parquet(source)
    if (Path(source) / "dataset_info.json").is_file():
        import datasets

        return data.from_huggingface(datasets.load_from_disk(source))
    raise InputError(
        f"cannot tell what {source} is: give .jsonl, .parquet, a directory of a Hugging Face dataset, or hf:NAME"
    )


def _plain(value: Any) -> Any:
    """Convert Arrow and numpy values to those of JSON; fields without a value are left out."""
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items() if member is not None}
    if isinstance(value, np.ndarray | list | tuple):
        return [_plain(member) for member in value]
    return value.item() if isinstance(value, np.generic) else value
