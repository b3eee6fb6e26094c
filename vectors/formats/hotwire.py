"""Read and write hotwire-vllm's table: (n_layers, d_model), row L for the output of block L.

Checked against hotwire-vllm 0.1.2 (`_state.py`): $HOTWIRE_VECTORS names a .pt, or a directory of them, read with
weights_only; a dict gives its first tensor; one vector of (d_model,) serves any layer. A request says
{"id": file name without .pt, "layer": L, "scale": S}. Blocks without a vector have a row of zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...rundir import InputError
from .._directions import Directions
from .entry import Format
from .imported import one_behaviour, rows_of_table
from .selection import select
from .table_file import read_table
from .tensor_file import write_tensors


def write(
    directions: Directions,
    path: str | Path,
    *,
    behaviour: str | None = None,
    layers: Sequence[int] | int | None = None,
    strength: float | None = None,
) -> None:
    """Write one behaviour: the tensor "vectors" of (n_layers, d_model)."""
    selection = select(directions, behaviour, layers=layers, strength=strength)
    write_tensors(Path(path), {"vectors": selection.table(selection.n_layers)}, selection.origin())


def read(path: str | Path, *, behaviour: str | None = None, layer: int | None = None) -> Directions:
    """Read one behaviour from a .pt or from what `write` wrote; `layer` is that of a file with a single vector."""
    path = Path(path)
    table, origin = read_table(path)
    if table.ndim == 1:
        if layer is None:
            raise InputError(f"{path} holds a single vector and does not say of which layer: give layer=L")
        rows = {layer: table}
    else:
        rows = rows_of_table(table, path=path)
    return one_behaviour(
        rows,
        path=path,
        origin=origin,
        behaviour=behaviour,
        method="read from a table for hotwire-vllm",
    )


FORMAT = Format(
    name="hotwire",
    about="hotwire-vllm's table of vectors (safetensors; reads its .pt too)",
    suffix=".safetensors",
    index="row L of (n_layers, d_model)",
    coefficient='{"scale": S} adds S x vector to every token of the request',
    read=read,
    write=write,
    options={"layer": int},
)
