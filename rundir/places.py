"""Places on disk: `~` expanded at the door, names that a file system takes, what killed writers leave."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path

from .errors import InputError, short

MAX_NAME_BYTES = 255  # of one file name on every common file system
LEFT_OVER = re.compile(r"\..*\.[0-9a-f]{8}\.tmp|\.tmp[A-Za-z0-9]{6}")  # ours; safetensors'


def expanded(path: str | Path) -> Path:
    """Expand `~` and `~user` at the beginning of a path. Raises InputError for a user that there is none of."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(f"cannot find the home directory in {str(path)!r}: {error}. Write the path out.") from error


def short_name(name: str, max_bytes: int = 160) -> str:
    """Shorten a file name with a digest of the whole, so that other long names stay other names.

    Args:
        name: One file name, without folders.
        max_bytes: The longest that may stay as it is, in bytes of UTF-8.
    """
    content = name.encode()
    if len(content) <= max_bytes:
        return name
    digest = hashlib.sha256(content).hexdigest()[:8]
    return f"{content[: max_bytes - 9].decode(errors='ignore')}-{digest}"


def is_there(path: Path) -> bool:
    """Whether something stands at a path; nothing can at one whose name no file system takes."""
    try:
        return path.exists()
    except OSError:
        return False


def check_writable(path: Path) -> None:
    """Raise InputError where no directory can stand at `path`: a file in the way, no permission, a name too long."""
    try:
        existing = next(place for place in (path, *path.absolute().parents) if place.exists())
    except OSError as error:  # a name too long for the file system
        raise InputError(f"cannot write to {short(path)}: {error.strerror}; choose another --out") from error
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"cannot write to {path}: {existing} is no directory you may write to; choose another --out")


def is_left_over(name: str) -> bool:
    """Whether a file name is a temporary one, of ours or of safetensors."""
    return LEFT_OVER.fullmatch(name) is not None


def sweep(directory: Path, lock_name: str) -> None:
    """Remove what killed writers left under temporary names, also in folders; not in those with a lock of their own.

    Args:
        directory: A directory that the caller holds the lock of.
        lock_name: The file that says that a folder has a writer of its own.
    """
    for entry in list(directory.iterdir()):
        if is_left_over(entry.name):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
        elif entry.is_dir() and not entry.is_symlink() and not (entry / lock_name).exists():
            sweep(entry, lock_name)
