"""Read and write persona_vectors' table: (n_layers + 1, d_model), as in hidden_states: block L is row L + 1.

Checked against safety-research/persona_vectors in the copy of dxnlp (`generate_vec.py`, `activation_steer.py`): rows
are mean differences of `hidden_states[row]`, row 0 the embeddings; steering with row r hooks the output of block r - 1
and adds coeff * vector. In a file that the tool wrote, the last row was read *after* the final norm and has other units
than the residual stream: it is left out unless `last_row=True`. Blocks without a vector have a row of zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

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
    """Write one behaviour: the tensor "response_avg_diff" of (n_layers + 1, d_model)."""
    selection = select(directions, behaviour, layers=layers, strength=strength)
    table = selection.table(selection.n_layers + 1, shift=1)
    write_tensors(Path(path), {"response_avg_diff": table}, selection.origin())


def read(path: str | Path, *, behaviour: str | None = None, last_row: bool = False) -> Directions:
    """Read one behaviour; `last_row` includes the last row of a .pt (it is always included in what `write` wrote)."""
    path = Path(path)
    table, origin = read_table(path)
    rows = rows_of_table(table, shift=1, path=path)
    if not origin and not last_row:
        rows.pop(len(table) - 2, None)
    return one_behaviour(
        rows,
        path=path,
        origin=origin,
        behaviour=behaviour,
        method="read from a table of persona_vectors",
    )


FORMAT = Format(
    name="persona-vectors",
    about="persona_vectors' table (safetensors; reads its .pt too)",
    suffix=".safetensors",
    index="row L + 1 of (n_layers + 1, d_model)",
    coefficient="coeff adds coeff x vector at layer_idx = row - 1",
    read=read,
    write=write,
    options={"last_row": bool},
)
