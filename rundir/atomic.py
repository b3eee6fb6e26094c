"""Write a file or directory so that a crash never leaves half of it under its own name.

The content is written to a temporary folder beside the target, flushed to disk, and then moved: a reader sees the old
content, the complete new content, or nothing. Temporary files of a killed writer are removed by the next writer of the
same target.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .comparison import Json
from .errors import writing
from .lock import LOCK
from .places import expanded, remove, sweep_of, temporary_name

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """Yield a temporary path to write a file or make a directory at; on success it becomes `target`.

    The temporary path ends in the target's own name, for writers that choose a format by the suffix. A directory that
    already exists at `target` is kept and the new one discarded (another process was first); a file is replaced. On an
    exception the temporary path is removed and `target` is unchanged.

    Args:
        target: The file or directory to write; `~` is expanded and missing parent folders are created.

    Yields:
        The temporary path, at which nothing exists yet.

    Raises:
        InputError: The target cannot be written: disk full, quota, read-only, no permission, a name too long, a
            directory where a file must be, or a file where a directory must be.
    """
    target = expanded(target)
    temporary = target.with_name(temporary_name(target.name))
    content = temporary / target.name
    with writing(target):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if not (target.parent / LOCK).exists():  # a run sweeps its directory itself, once for thousands of files
                sweep_of(target)
            temporary.mkdir()
            yield content
            _flush(content)
            if content.is_dir() and target.is_dir():
                return
            os.replace(content, target)
            _flush_entry(target.parent)
        finally:
            remove(temporary)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file atomically, as UTF-8.

    Args:
        path: The file; an existing one is replaced.
        text: Its content.

    Raises:
        InputError: The file cannot be written.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, "utf-8")


def write_json(path: str | Path, content: Json) -> None:
    """Write a JSON file atomically, indented by one space.

    Args:
        path: The file; an existing one is replaced.
        content: Any JSON value.

    Raises:
        InputError: The file cannot be written.
        ValueError: A number is NaN or infinite, which JSON has no form for.
    """
    write_text(path, json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def write_csv(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table as a CSV file atomically.

    Args:
        path: The file; an existing one is replaced.
        table: Its columns are written, its index is not.

    Raises:
        InputError: The file cannot be written.
    """
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def _flush(path: Path) -> None:
    """Flush a file, or all files of a directory, to disk, and give them the usual permissions."""
    mask = os.umask(0)
    os.umask(mask)
    for file in [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]:
        file.chmod(0o666 & ~mask)  # safetensors makes its files private; a shared server wants the usual mode
        _flush_entry(file)


def _flush_entry(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
