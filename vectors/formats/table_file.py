"""Read a file that holds one table of vectors: another tool's `.pt`, or a safetensors file.

For tools whose own file is a `.pt` (a pickle), a safetensors file with exactly the tensor that they expect is written;
two lines turn it into their file on the user's own machine:

    tensor = safetensors.torch.load_file("vectors.safetensors")[NAME]
    torch.save(tensor, "vectors.pt")
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from ...rundir import InputError
from .imported import origin_of
from .tensor_file import read_tensors
from .torch_file import checked_tensor, is_torch_file, read_torch


def read_table(path: Path) -> tuple[Tensor, dict[str, Any]]:
    """Read the first tensor of a .pt or safetensors file, and its origin if we wrote the file."""
    if not is_torch_file(path):
        tensors, metadata = read_tensors(path)
        if len(tensors) != 1:
            raise InputError(f"{path} holds {len(tensors)} tensors, and one table of vectors was expected")
        return checked_tensor(next(iter(tensors.values())), "its tensor", path), origin_of(metadata.get("reasonlens"))
    content = read_torch(path)
    if isinstance(content, dict):
        content = next((value for value in content.values() if isinstance(value, Tensor)), None)
    return checked_tensor(content, "its content", path), {}
