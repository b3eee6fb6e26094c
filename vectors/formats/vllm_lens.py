"""Read and write vllm-lens's SteeringVector: activations (k, d_model) and the k blocks whose outputs they change.

Checked against UKGovernmentBEIS/vllm-lens (`_helpers/types.py`): `SteeringVector(activations=..., layer_indices=[L],
scale=S, norm_match=False)` goes into `SamplingParams.extra_args["apply_steering_vectors"]`. It has no file of its own:
this one is safetensors with `activations` and `layer_indices`, and `reasonlens export --print vllm-lens` shows the
lines that pass them on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

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
    """Write one behaviour: `activations` (k, d_model) float32 and `layer_indices` (k,)."""
    selection = select(directions, behaviour, layers=layers, strength=strength)
    tensors = {
        "activations": torch.stack(list(selection.rows.values())),
        "layer_indices": torch.tensor(selection.layers),
    }
    write_tensors(Path(path), tensors, selection.origin())


def read(path: str | Path, *, behaviour: str | None = None) -> Directions:
    """Read one behaviour."""
    path = Path(path)
    tensors, metadata = read_tensors(path)
    rows, layers = tensors.get("activations"), tensors.get("layer_indices")
    if rows is None or layers is None or rows.ndim != 2 or layers.shape != rows.shape[:1] or layers.is_floating_point():
        raise InputError(f"{path} has no `activations` (k, d_model) with `layer_indices` (k,), as vllm-lens takes them")
    numbers = layers.tolist()
    if len(set(numbers)) != len(numbers):
        raise InputError(f"{path} names a layer twice: {numbers[:20]}")
    origin = origin_of(metadata.get("reasonlens"))
    return one_behaviour(
        dict(zip(numbers, rows, strict=True)),
        path=path,
        origin=origin,
        behaviour=behaviour,
        method="read from a file for vllm-lens",
    )


FORMAT = Format(
    name="vllm-lens",
    about="activations and layer_indices of vllm-lens's SteeringVector (safetensors)",
    suffix=".safetensors",
    index="layer_indices holds L",
    coefficient="scale=S adds S x vector to every token (norm_match=False)",
    read=read,
    write=write,
)
