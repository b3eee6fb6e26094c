"""Digest content: values, files and directories. Copies have the same digest, whatever their age or place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .comparison import Json, plain
from .errors import InputError, short

REMEDY = "remove it and run the same command again, and it is made again"
LENGTH = 16  # hexadecimal digits kept of a digest of settings or inputs: 64 bits


def content_digest(value: Json) -> str:
    """Digest a value that JSON has a form for; the order of a dictionary's fields does not matter.

    Args:
        value: Whatever `plain` converts.

    Returns:
        The first 16 hexadecimal digits of a SHA-256.
    """
    text = json.dumps(plain(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]


def file_digest(path: Path) -> str:
    """Digest every byte of a file.

    Args:
        path: The file.

    Returns:
        The SHA-256, 64 hexadecimal digits.

    Raises:
        InputError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def directory_digest(path: Path, files: Iterable[Path] | None = None) -> str:
    """Digest names and bytes of files in a directory.

    Args:
        path: The directory; names are taken relative to it.
        files: The files to digest; by default all of them, those in subfolders too.

    Returns:
        A SHA-256, 64 hexadecimal digits.
    """
    chosen = [file for file in path.rglob("*") if file.is_file()] if files is None else list(files)
    entries = sorted((file.relative_to(path).as_posix(), file_digest(file)) for file in chosen)
    return hashlib.sha256(json.dumps(entries).encode()).hexdigest()


def tensors_digest(about: Json, tensors: Mapping[str, Any]) -> str:
    """Digest tensors by name, shape, dtype and bytes, together with a description of them.

    Args:
        about: The description, any JSON.
        tensors: Contiguous tensors of torch in the CPU's memory, by name.

    Returns:
        A SHA-256, 64 hexadecimal digits.
    """
    digest = hashlib.sha256(json.dumps(plain(about), sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tuple(tensors[name].shape)} {tensors[name].dtype}".encode())
        digest.update(tensors[name].detach().numpy().data)
    return digest.hexdigest()


def artifact_digest(path: Path) -> str:
    """Digest a file or a directory."""
    return directory_digest(path) if path.is_dir() else file_digest(path)


def check_artifact(place: Path, digest: str | None) -> None:
    """Raise InputError where an artifact has other bytes than the run that wrote it, or is of no run.

    Args:
        place: A file or a directory that exists.
        digest: Its digest in run.json; None where run.json does not name it.

    Raises:
        InputError: The digest is another, or there is none.
    """
    if digest is None:
        raise InputError(f"{short(place)} is not from this run (run.json does not name it); {REMEDY}")
    if artifact_digest(place) != digest:
        raise InputError(f"{short(place)} is other than this run wrote it; {REMEDY}")
