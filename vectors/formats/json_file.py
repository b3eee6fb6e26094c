"""Read and write JSON files of vectors, with a limit on their size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ...rundir import InputError, atomic_path, parse_json
from ..soundness import MAX_WIDTH

MAX_BYTES = 1 << 29


def read_json(path: Path) -> dict[str, Any]:
    """Read the object in a JSON file; raise InputError for anything else."""
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise InputError(f"{path} has {size} bytes, and a file of vectors never has as many")
        content = parse_json(path.read_bytes(), f"{path} is not a JSON file")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a JSON {type(content).__name__}, and an object was expected")
    return content


def parse_vector(numbers: Any, subject: str, path: Path) -> Float[Tensor, " d_model"]:
    """Turn a list of numbers into a vector; raise InputError, naming `subject`, for anything else."""
    is_list = isinstance(numbers, list) and 0 < len(numbers) <= MAX_WIDTH
    if not is_list or not all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers):
        raise InputError(f"{path}: {subject} is no list of numbers")
    try:
        return torch.tensor([float(number) for number in numbers], dtype=torch.float32)
    except (OverflowError, RuntimeError) as error:
        raise InputError(f"{path}: {subject} holds a number that is too large") from error


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write an object to a JSON file, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")
