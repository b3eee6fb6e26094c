"""Read and write EasySteer's direction file (steering in vLLM): repeng's GGUF, `direction.L` for the output of block L.

Checked against ZJU-REAL/EasySteer and EasySteer-vllm-v1 (`vllm/model_hooks/steering/loading.py`): the file must end in
.gguf, each `direction.N` with N >= 0 is taken once, layer 0 included, and `VectorSpec(source=..., scale=S, layers=[L])`
with the algorithm `direct` adds S x vector there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...rundir import InputError
from .._directions import Directions
from .control_vector import read_control_vector, write_control_vector
from .entry import Format
from .selection import select


def write(
    directions: Directions,
    path: str | Path,
    *,
    behaviour: str | None = None,
    layers: Sequence[int] | int | None = None,
    strength: float | None = None,
) -> None:
    """Write one behaviour; raise InputError for a file name without .gguf, which EasySteer would refuse."""
    if Path(path).suffix.lower() != ".gguf":
        raise InputError(f"EasySteer reads files that end in .gguf only: call it {Path(path).stem}.gguf")
    write_control_vector(select(directions, behaviour, layers=layers, strength=strength), path)


def read(path: str | Path, *, behaviour: str | None = None) -> Directions:
    """Read one behaviour."""
    return read_control_vector(path, behaviour, tool="EasySteer")


FORMAT = Format(
    name="easysteer",
    about="EasySteer's direction file (GGUF), for steering in vLLM",
    suffix=".gguf",
    index="direction.L",
    coefficient="scale=S adds S x vector at the tokens that `apply` names",
    read=read,
    write=write,
)
