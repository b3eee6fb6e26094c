"""Places on disk: `~` expanded at the door, names that a file system takes, what killed writers leave."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import sys
import uuid
from contextlib import suppress
from functools import cache
from pathlib import Path

from .errors import InputError, short

MAX_NAME_BYTES = 255  # of one file name on every common file system
# A temporary name: the target's, where its writer runs (host and space of process numbers), its process, a number.
TEMPORARY = re.compile(r"\.(.*)\.([0-9a-f]{8})-([0-9a-f]+)-[0-9a-f]{8}\.tmp", re.DOTALL)
OF_SAFETENSORS = re.compile(r"\.tmp[A-Za-z0-9]{6}")


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
    return (TEMPORARY.fullmatch(name) or OF_SAFETENSORS.fullmatch(name)) is not None


def temporary_name(name: str) -> str:
    """Make up a temporary name beside a file, which says whose process writes under it."""
    return f".{_cut(name)}.{_where()}-{os.getpid():x}-{uuid.uuid4().hex[:8]}.tmp"


def sweep_of(target: Path) -> None:
    """Remove what killed writers of a file or directory left beside it; not what a living process writes, nor what one
    on another machine does, of which nothing is known here."""
    cut, where = _cut(target.name), _where()
    start = f".{cut}."
    with os.scandir(target.parent) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(start)]
    for name in names:
        parts = TEMPORARY.fullmatch(name)
        if parts and parts[1] == cut and parts[2] == where and not is_alive(int(parts[3], 16)):
            remove(target.with_name(name))


def remove(path: Path) -> None:
    """Remove a file or folder as far as that can be done."""
    with suppress(OSError):  # its name may be none that this file system takes
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def is_alive(pid: int) -> bool:
    """Whether a process of this machine is there; True where that cannot be found out."""
    if sys.platform == "win32":  # where os.kill ends a process, whatever the signal
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _cut(name: str) -> str:
    """Leave room for what a temporary name adds to `name`."""
    return name.encode()[:200].decode(errors="ignore")


@cache
def _where() -> str:
    """Digest what a process number is counted in: the host, and in containers the space of its own."""
    space = ""
    with suppress(OSError):
        space = os.readlink("/proc/self/ns/pid")
    return hashlib.sha256(f"{socket.gethostname()} {space}".encode()).hexdigest()[:8]


def sweep(directory: Path, lock_name: str) -> None:
    """Remove what killed writers left under temporary names, also in folders; not in those with a lock of their own.

    Args:
        directory: A directory that the caller holds the lock of.
        lock_name: The file that says that a folder has a writer of its own.
    """
    for entry in list(directory.iterdir()):
        if is_left_over(entry.name):
            remove(entry)
        elif entry.is_dir() and not entry.is_symlink() and not (entry / lock_name).exists():
            sweep(entry, lock_name)
