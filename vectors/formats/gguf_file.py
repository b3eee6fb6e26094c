"""Read and write the GGUF file of a control vector: 1-D tensors `direction.N` and a few lines of metadata.

The gguf package trusts the lengths stated in a file, so the header is read here instead: every count, string and byte
range is checked against the size of the file before anything is read. Layout (version 3, little-endian):
magic, version, number of tensors, number of metadata entries; the entries (key, type, value); for each tensor name,
dimensions, type and offset; padding; the data. Checked against gguf 0.19 and llama.cpp's gguf.cpp.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ...rundir import InputError, atomic_path

MAX_BYTES = 1 << 31
MAX_ENTRIES = 1 << 16  # a model file has some hundreds of tensors and some dozens of entries
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_DTYPES: dict[int, np.dtype[Any]] = {0: np.dtype("<f4"), 1: np.dtype("<f2")}  # GGML's F32 and F16


@dataclass
class _Cursor:
    """A position in the bytes of a file, from which values are read in order."""

    data: memoryview
    path: Path
    at: int = 0

    def take(self, size: int) -> memoryview:
        if size > len(self.data) - self.at:
            raise InputError(f"{self.path} is damaged: its header speaks of more bytes than the file has")
        data = self.data[self.at : self.at + size]
        self.at += size
        return data

    def number(self, kind: str) -> Any:
        (value,) = struct.unpack("<" + kind, self.take(struct.calcsize("<" + kind)))
        return value

    def text(self) -> str:
        try:
            return str(bytes(self.take(self.number("Q"))), "utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{self.path} is damaged: a text in its header is no UTF-8") from error

    def value(self, kind: int) -> Any:
        """Read the value of an entry; arrays are skipped, since a control vector needs none."""
        if kind in _SCALARS:
            return self.number(_SCALARS[kind])
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            inner, count = self.number("I"), self.number("Q")
            if inner in _SCALARS:
                self.take(count * struct.calcsize("<" + _SCALARS[inner]))
            elif inner == _STRING and count <= MAX_ENTRIES:
                for _ in range(count):
                    self.take(self.number("Q"))
            else:
                raise InputError(f"{self.path} is no control vector: its metadata holds an array of type {inner}")
            return None
        raise InputError(f"{self.path} is damaged: there is no metadata type {kind}")


def read_gguf(path: Path) -> tuple[dict[str, Any], dict[str, Float[Tensor, " d_model"]]]:
    """Read the metadata and the 1-D tensors (as float32) of a GGUF file.

    Raises InputError for a file of another kind, a damaged header, tensors that are not 1-D of F32 or F16, and byte
    ranges outside of the file or over each other.
    """
    cursor = _Cursor(_bytes_of(path), path)
    if bytes(cursor.take(4)) != b"GGUF":
        raise InputError(f"{path} is not a GGUF file (it does not begin with the bytes 'GGUF')")
    if (version := cursor.number("I")) not in (2, 3):
        raise InputError(f"{path} is of GGUF version {version}; versions 2 and 3, little-endian, can be read")
    n_tensors, n_entries = cursor.number("Q"), cursor.number("Q")
    if max(n_tensors, n_entries) > MAX_ENTRIES:
        raise InputError(f"{path} is damaged: its header speaks of {n_tensors} tensors and {n_entries} entries")
    metadata: dict[str, Any] = {}
    for _ in range(n_entries):
        key = cursor.text()
        metadata[key] = cursor.value(cursor.number("I"))
    infos = [_tensor_info(cursor) for _ in range(n_tensors)]
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 0 < alignment <= 1 << 16 or alignment & (alignment - 1):
        raise InputError(f"{path} is damaged: alignment {alignment!r} is no power of two")
    start = (cursor.at + alignment - 1) // alignment * alignment
    tensors: dict[str, Tensor] = {}
    ranges = []
    for name, length, dtype, offset in infos:
        begin, end = start + offset, start + offset + length * dtype.itemsize
        if offset % alignment or end > len(cursor.data):
            raise InputError(f"{path} is damaged: the data of {name!r} lie outside of the file")
        if name in tensors:
            raise InputError(f"{path} has two tensors of the name {name!r}")
        ranges.append((begin, end))
        numbers = np.frombuffer(cursor.data[begin:end], dtype).astype(np.float32)
        tensors[name] = torch.from_numpy(numbers)
    ranges.sort()
    if any(end > begin for (_, end), (begin, _) in zip(ranges, ranges[1:], strict=False)):
        raise InputError(f"{path} is damaged: the data of two of its tensors overlap")
    return metadata, tensors


def _tensor_info(cursor: _Cursor) -> tuple[str, int, np.dtype[Any], int]:
    name, n_dims = cursor.text(), cursor.number("I")
    if n_dims != 1:
        raise InputError(f"{cursor.path} is no control vector: its tensor {name[:80]!r} has {n_dims} dimensions, not 1")
    length, kind, offset = cursor.number("Q"), cursor.number("I"), cursor.number("Q")
    if kind not in _DTYPES:
        raise InputError(
            f"{cursor.path} is no control vector: its tensor {name[:80]!r} is of GGML type {kind}, not F32 or F16"
        )
    return name, length, _DTYPES[kind], offset


def _bytes_of(path: Path) -> memoryview:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"{path} has {size} bytes, and a control vector never has as many")
        return memoryview(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def write_gguf(path: Path, metadata: dict[str, str | int], tensors: dict[str, Float[Tensor, " d_model"]]) -> None:
    """Write metadata (texts and unsigned integers) and 1-D F32 tensors, atomically."""
    from gguf import GGUFWriter

    with atomic_path(path) as temporary:
        writer = GGUFWriter(temporary, "controlvector")
        try:
            for key, value in metadata.items():
                if isinstance(value, str):
                    writer.add_string(key, value)
                else:
                    writer.add_uint32(key, value)
            for name, tensor in tensors.items():
                writer.add_tensor(name, tensor.to(torch.float32).contiguous().numpy())
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
        finally:
            writer.close()
