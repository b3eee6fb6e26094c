"""Read and write control vectors in GGUF, as repeng, llama.cpp and EasySteer do; `direction.N` is block N's output.

Metadata: `general.architecture` = "controlvector", `controlvector.model_hint` (the model type of transformers, which
repeng requires) and `controlvector.layer_count`. We add `reasonlens.origin`, which all three tools ignore.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch

from ...rundir import InputError
from .._directions import Directions
from .gguf_file import read_gguf, write_gguf
from .imported import one_behaviour, origin_of
from .selection import Selection

_NAME = re.compile(r"direction\.(0|[1-9]\d{0,5})")


def write_control_vector(selection: Selection, path: str | Path, *, zero_filled: bool = False) -> None:
    """Write one behaviour; `zero_filled` adds a vector of zeros for every block of the model that has none."""
    rows = dict(selection.rows)
    if zero_filled:
        rows = {layer: rows.get(layer, torch.zeros(selection.d_model)) for layer in range(selection.n_layers)}
    write_gguf(
        Path(path),
        {
            "controlvector.model_hint": selection.model_type or "unknown",
            "controlvector.layer_count": len(rows),
            "reasonlens.origin": json.dumps(selection.origin()),
        },
        {f"direction.{layer}": row for layer, row in rows.items()},
    )


def read_control_vector(path: str | Path, behaviour: str | None, *, tool: str) -> Directions:
    """Read one behaviour; vectors of zeros count as missing, and tensors of other names are ignored.

    Raises InputError for a damaged file or one that is no control vector.
    """
    path = Path(path)
    metadata, tensors = read_gguf(path)
    if (kind := metadata.get("general.architecture")) != "controlvector":
        raise InputError(f"{path} is a GGUF file of {str(kind)[:40]!r}, and no control vector")
    rows = {}
    for name, tensor in tensors.items():
        if not name.startswith("direction."):
            continue
        if not (match := _NAME.fullmatch(name)):
            raise InputError(
                f"{path} has a tensor {name[:80]!r}, and directions are called direction.0, direction.1 ..."
            )
        if tensor.any() or torch.isnan(tensor).any():
            rows[int(match[1])] = tensor
    hint = metadata.get("controlvector.model_hint")
    text = metadata.get("reasonlens.origin")
    origin = origin_of(text if isinstance(text, str) else None)
    model = {"model_type": hint} if isinstance(hint, str) and hint != "unknown" else {}
    return one_behaviour(
        rows,
        path=path,
        origin=origin,
        behaviour=behaviour,
        method=f"read from a control vector of {tool} ({path.name})",
        model=model,
    )
