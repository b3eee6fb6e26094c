"""Read a `.pt` of another tool without running anything that is in it. None is ever written.

A .pt is a zip archive with a pickle that describes the tensors in the archive's other members. The archive is checked
first (members stored uncompressed, within the file, with the right checksum). Then torch reads it with weights_only,
which builds tensors and plain containers and calls nothing else. Finally each tensor must lie within its own bytes: a
tampered stride could otherwise make a few bytes look like gigabytes.
"""

from __future__ import annotations

import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...rundir import InputError

MAX_BYTES = 1 << 32
MAX_MEMBERS = 1 << 16


def is_torch_file(path: Path) -> bool:
    """Check whether a file begins like a zip archive; raise InputError if it cannot be opened."""
    try:
        with path.open("rb") as file:
            return file.read(2) == b"PK"
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def read_torch(path: Path) -> Any:
    """Read what torch.save wrote: tensors in plain containers; raise InputError for anything else, and for damage."""
    if not is_torch_file(path):
        raise InputError(
            f"{path} is no .pt file of torch 1.6 or later (no zip archive): load it where you trust it, and save again"
        )
    _check_archive(path)
    try:
        with path.open("rb") as file, warnings.catch_warnings():  # by its name torch would take a .safetensors for one
            warnings.simplefilter("ignore")
            content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} holds more than tensors and plain containers, or is damaged, and is not loaded, since that could "
            f"run code: {str(error).splitlines()[0][:200]}"
        ) from error
    except Exception as error:  # torch raises a dozen kinds on damaged archives; all mean that it cannot be read
        raise InputError(f"cannot read {path}: {type(error).__name__} {str(error)[:200]}") from error
    return content


def checked_tensor(tensor: Any, subject: str, path: Path) -> Tensor:
    """Return `tensor` if it is dense, floating-point and within its own bytes; raise InputError otherwise."""
    if not isinstance(tensor, Tensor) or tensor.layout != torch.strided or tensor.is_quantized:
        raise InputError(f"{path}: {subject} is no tensor ({type(tensor).__name__})")
    if not tensor.is_floating_point() or tensor.device.type != "cpu":
        raise InputError(f"{path}: {subject} holds no floating-point numbers ({tensor.dtype})")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise InputError(f"{path}: {subject} is damaged: its shape {tuple(tensor.shape)} is larger than its data")
    return tensor.detach()


def _check_archive(path: Path) -> None:
    try:
        size = path.stat().st_size
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if size > MAX_BYTES or len(members) > MAX_MEMBERS:
                raise InputError(f"{path} has {size} bytes in {len(members)} members, too many for a file of vectors")
            for member in members:
                if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
                    raise InputError(f"{path} is no .pt file: its member {member.filename[:80]!r} is compressed")
            if sum(member.file_size for member in members) > size:
                raise InputError(f"{path} is damaged: its members are larger than the file")
            if (damaged := archive.testzip()) is not None:
                raise InputError(f"{path} is damaged: its member {damaged[:80]!r} has another checksum")
    except InputError:
        raise
    except Exception as error:  # zipfile, too, raises many kinds on damaged archives
        raise InputError(f"{path} is damaged: {type(error).__name__} {str(error)[:200]}") from error
