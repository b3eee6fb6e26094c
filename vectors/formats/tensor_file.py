"""Read and write safetensors files of other tools' tensors; the header is checked before anything is mapped.

The header is its length (8 bytes, little-endian) and a JSON object of name -> dtype, shape and byte range.
"""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ...rundir import InputError, atomic_path, parse_json, reading

MAX_HEADER = 16 << 20
MAX_TENSORS = 1 << 16
_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


def check_header(path: Path) -> dict[str, str]:
    """Check the header of a safetensors file and return its metadata; the messages say what is checked."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            first = file.read(8)
            if len(first) < 8:
                raise InputError(f"{path} is not a safetensors file: it has {size} bytes")
            (length,) = struct.unpack("<Q", first)
            if length > min(size - 8, MAX_HEADER):
                raise InputError(
                    f"{path} is not a safetensors file, or damaged: its header would have {length} bytes, and the file "
                    f"has {size}"
                )
            header = parse_json(file.read(length), f"{path} is not a safetensors file, or damaged: its header")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if not isinstance(header, dict) or len(header) > MAX_TENSORS:
        raise InputError(f"{path} is not a safetensors file, or damaged: its header is no list of tensors")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise InputError(f"{path} is damaged: its metadata are not all texts")
    for name, entry in header.items():
        _check_tensor(path, name, entry, size - 8 - length)
    return metadata


def _check_tensor(path: Path, name: str, entry: Any, n_bytes: int) -> None:
    damaged = f"{path} is damaged: its header says of the tensor {name[:80]!r}"
    if not isinstance(entry, dict) or str(entry.get("dtype")) not in _BYTES:
        raise InputError(f"{damaged} no dtype that vectors have ({', '.join(_BYTES)})")
    shape, offsets = _whole_numbers(entry.get("shape")), _whole_numbers(entry.get("data_offsets"))
    if shape is None or offsets is None:
        raise InputError(f"{damaged} no shape and byte range")
    if not len(offsets) == 2 or not offsets[0] <= offsets[1] <= n_bytes:
        raise InputError(f"{damaged} the byte range {offsets}, and there are {n_bytes} bytes of data")
    if math.prod(shape) * _BYTES[entry["dtype"]] != offsets[1] - offsets[0]:
        raise InputError(f"{damaged} the shape {shape}, which does not fill its {offsets[1] - offsets[0]} bytes")


def _whole_numbers(numbers: Any) -> list[int] | None:
    """Return `numbers` if it is a short list of whole numbers from 0 that fit into 63 bits, else None."""
    if not isinstance(numbers, list) or len(numbers) > 8:
        return None
    return numbers if all(type(number) is int and 0 <= number < 1 << 63 for number in numbers) else None


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read tensors and metadata of a safetensors file; raise InputError for a damaged one."""
    metadata = check_header(path)
    with reading(path, "vectors"), safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, metadata


def write_tensors(path: Path, tensors: dict[str, Tensor], origin: dict[str, Any]) -> None:
    """Write tensors with one entry of metadata, `reasonlens`, atomically."""
    with atomic_path(path) as temporary:
        contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
        # One entry only: safetensors writes several in any order, so that the same vectors could give different bytes.
        save_file(contiguous, temporary, metadata={"reasonlens": json.dumps(origin)})
