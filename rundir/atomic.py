"""Writing a file or directory so that a crash never leaves half of it under its own name.

The content goes to a temporary name beside the target, is flushed to disk, and is then renamed: a reader sees the
old content, the whole new content, or nothing.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import InputError


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path to write a file or make a directory at; on success it becomes `target`.

    A directory that already stands at `target` is kept and the new one dropped (another process was first); a file is
    replaced. On an exception the temporary path is removed and `target` is untouched.
    Raises InputError when the target cannot be written: no permission, or a file where a directory must be.
    """
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _flush(temporary)
        if temporary.is_dir() and target.is_dir():
            return
        os.replace(temporary, target)
        _flush_entry(target.parent)
    except (PermissionError, NotADirectoryError, FileExistsError, IsADirectoryError) as error:
        raise InputError(f"cannot write {target}: {error.strerror}. Choose a place that you may write to.") from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            with suppress(NotADirectoryError):  # where a file stands in place of the directory
                temporary.unlink(missing_ok=True)


def _flush(path: Path) -> None:
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
