"""Read and write the dict from which steering-vectors' SteeringVector is rebuilt: layer L for the output of block L.

Checked against steering-vectors 0.12.2: the dataclass has no file of its own; `SteeringVector(layer_activations={L:
vector}, layer_type="decoder_block")` hooks block L and adds multiplier * vector to its output. The file is safetensors
with one tensor for each layer, named by its number, so that two lines rebuild the dict:

    from safetensors.torch import load_file
    vector = SteeringVector({int(layer): row for layer, row in load_file("vector.safetensors").items()})
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...rundir import InputError
from .._directions import Directions
from .entry import Format
from .imported import one_behaviour, origin_of
from .selection import select
from .tensor_file import read_tensors, write_tensors


def write(
    directions: Directions,
    path: str | Path,
    *,
    behaviour: str | None = None,
    layers: Sequence[int] | int | None = None,
    strength: float | None = None,
) -> None:
    """Write one behaviour: tensors "0", "1", ... of (d_model,), float32."""
    selection = select(directions, behaviour, layers=layers, strength=strength)
    write_tensors(Path(path), {str(layer): row for layer, row in selection.rows.items()}, selection.origin())


def read(path: str | Path, *, behaviour: str | None = None) -> Directions:
    """Read one behaviour."""
    path = Path(path)
    tensors, metadata = read_tensors(path)
    rows = {}
    for name, tensor in tensors.items():
        if not name.isascii() or not name.isdigit() or len(name) > 6 or str(int(name)) != name:
            raise InputError(f"{path} has a tensor {name[:80]!r}, and the layers of a steering vector are numbers")
        if tensor.ndim != 1 or not tensor.is_floating_point():
            raise InputError(f"{path} has a tensor of shape {tuple(tensor.shape)} at layer {name}, and no vector")
        rows[int(name)] = tensor
    origin = origin_of(metadata.get("reasonlens"))
    return one_behaviour(
        rows,
        path=path,
        origin=origin,
        behaviour=behaviour,
        method="read from a file for steering-vectors",
    )


FORMAT = Format(
    name="steering-vectors",
    about="the dict that steering-vectors' SteeringVector is rebuilt from (safetensors)",
    suffix=".safetensors",
    index="layer L, layer_type decoder_block",
    coefficient="apply(model, multiplier=S) adds S x vector to every token",
    read=read,
    write=write,
)
