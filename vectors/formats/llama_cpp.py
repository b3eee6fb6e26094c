"""Read and write llama.cpp's control vector: repeng's GGUF, `direction.L` for the output of block L, without layer 0.

Checked against common.cpp and llama-adapter.cpp of ggml-org/llama.cpp: the loader puts direction.N at (N - 1) * n_embd
of a buffer that begins with layer 1, and the adapter reads block il from (il - 1) * n_embd, so N = il without a shift.
It ignores a whole file (an error in its log, and an unsteered model) that holds a `direction.0`, a tensor of another
name, or one that is not 1-D F32.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...rundir import InputError
from .._directions import Directions
from .control_vector import read_control_vector, write_control_vector
from .entry import Format
from .selection import select

NO_LAYER_0 = "llama.cpp cannot steer layer 0: its control vectors begin with the second block"


def write(
    directions: Directions,
    path: str | Path,
    *,
    behaviour: str | None = None,
    layers: Sequence[int] | int | None = None,
    strength: float | None = None,
) -> None:
    """Write one behaviour; raise InputError if layer 0 is among the layers."""
    selection = select(directions, behaviour, layers=layers, strength=strength)
    if 0 in selection.rows:
        raise InputError(f"{NO_LAYER_0}, and it ignores a file that holds direction.0: leave it out (--layers 1:)")
    write_control_vector(selection, path)


def read(path: str | Path, *, behaviour: str | None = None) -> Directions:
    """Read one behaviour."""
    return read_control_vector(path, behaviour, tool="llama.cpp")


FORMAT = Format(
    name="llama.cpp",
    about="llama.cpp's control vector (GGUF), for --control-vector",
    suffix=".gguf",
    index="direction.L; layer 0 cannot be steered",
    coefficient="--control-vector-scaled FILE:S adds S x vector to every token",
    read=read,
    write=write,
    unwritable=lambda directions: {0: NO_LAYER_0},
)
