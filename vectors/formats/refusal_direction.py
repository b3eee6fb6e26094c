"""Read and write refusal_direction's `mean_diffs` (positions, n_layers, d_model): block L's output is row L + 1.

Row l is the *input* of block l. Checked against andyrdt/refusal_direction (`pipeline/submodules/` and
`pipeline/run_pipeline.py`): means are taken by a hook before the block, in float64, at the last tokens of the template
(positions -p .. -1), and the chosen [pos, layer] is added before that block. The last block's output has no row; row 0,
the embeddings, is no block's output and is left out when read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from ...rundir import InputError
from .._directions import Directions
from ..soundness import MAX_LAYERS
from .entry import Format
from .imported import (
    behaviour_name,
    imported,
    rows_of_table,
)
from .selection import last_block, select
from .table_file import read_table
from .tensor_file import write_tensors

MAX_POSITIONS = 256


def write(
    directions: Directions,
    path: str | Path,
    *,
    behaviour: str | None = None,
    layers: Sequence[int] | int | None = None,
    strength: float | None = None,
) -> None:
    """Write one behaviour: "mean_diffs" of (1, n_layers, d_model), float64; raise InputError for the last block."""
    selection = select(directions, behaviour, layers=layers, strength=strength)
    selection.without_last_block("refusal_direction")
    n_layers = selection.model.get("n_layers")
    n_rows = n_layers if isinstance(n_layers, int) else max(selection.rows) + 2
    table = selection.table(n_rows, shift=1).to(torch.float64)
    write_tensors(Path(path), {"mean_diffs": table[None]}, selection.origin())


def read(path: str | Path, *, behaviour: str | None = None, position: int | None = None) -> Directions:
    """Read one behaviour for each position (`refusal@-1`), or that of `position` (0 or -p .. -1) alone."""
    path = Path(path)
    table, origin = read_table(path)
    if table.ndim != 3 or not 0 < len(table) <= MAX_POSITIONS or table.shape[1] > MAX_LAYERS:
        raise InputError(f"{path} holds a tensor of shape {tuple(table.shape)}, and not (positions, n_layers, d_model)")
    n_positions = len(table)
    if position is not None and not -n_positions <= position < n_positions:
        raise InputError(f"{path} has {n_positions} positions (-{n_positions}..-1), and none at {position}")
    name = behaviour_name(path, origin, behaviour)
    if position is not None or n_positions == 1:
        rows = {name: rows_of_table(table[position or 0], shift=1, path=path)}
    else:
        layers = [row - 1 for row in range(1, table.shape[1]) if (table[:, row] != 0).any()]
        rows = {
            f"{name}@{index - n_positions}": {layer: table[index, layer + 1] for layer in layers}
            for index in range(n_positions)
        }
    return imported(
        rows,
        path=path,
        method="read from the mean_diffs of refusal_direction",
        model=origin.get("model"),
    )


FORMAT = Format(
    name="refusal-direction",
    about="refusal_direction's mean_diffs (safetensors; reads its .pt too)",
    suffix=".safetensors",
    index="[position, L + 1]: the tool reads and adds before a block; the last block cannot be steered",
    coefficient="activation addition adds coeff x vector to every token; ablation ignores its length",
    read=read,
    write=write,
    unwritable=lambda directions: last_block(directions.model, "refusal_direction"),
    options={"position": int},
)
