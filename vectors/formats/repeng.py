"""Read and write repeng's control vector: GGUF, `direction.L` for the output of block L.

Checked against repeng 0.4.0: `ControlVector.import_gguf` takes the tensors `direction.*` and needs
`controlvector.model_hint`; `ControlModel.set_control(vector, coeff)` adds coeff * vector at each layer that the
ControlModel wraps, and raises KeyError where one of these has no vector, hence `zero_filled`. llama.cpp reads the same
file if it holds no `direction.0` (format `llama.cpp`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

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
    zero_filled: bool = False,
) -> None:
    """Write one behaviour; `zero_filled` adds zeros for the other blocks, so that repeng can wrap any of them."""
    selection = select(directions, behaviour, layers=layers, strength=strength)
    write_control_vector(selection, path, zero_filled=zero_filled)


def read(path: str | Path, *, behaviour: str | None = None) -> Directions:
    """Read one behaviour."""
    return read_control_vector(path, behaviour, tool="repeng")


FORMAT = Format(
    name="repeng",
    about="repeng's control vector (GGUF), for ControlVector.import_gguf",
    suffix=".gguf",
    index="direction.L",
    coefficient="set_control(vector, coeff) adds coeff x vector to every token",
    read=read,
    write=write,
    options={"zero_filled": bool},
)
