"""Resolve places on disk: expand `~`, shorten names for the file system, remove temporary files of killed writers."""

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

from .brevity import shown
from .errors import InputError, short

MAX_NAME_BYTES = 255  # of one file name on every common file system
# A temporary name: the target's, where its writer runs (host and space of process numbers), its process, a number.
TEMPORARY = re.compile(r"\.(.*)\.([0-9a-f]{8})-([0-9a-f]+)-[0-9a-f]{8}\.tmp", re.DOTALL)
OF_SAFETENSORS = re.compile(r"\.tmp[A-Za-z0-9]{6}")


def expanded(path: str | Path) -> Path:
    """Expand `~` and `~user` at the beginning of a path.

    Args:
        path: As a user wrote it.

    Returns:
        The path without `~`.

    Raises:
        InputError: It is no path or an empty one, there is no such user, no home directory, or the path holds bytes
            that are not UTF-8, which neither safetensors nor a record in JSON can name.
    """
    if not isinstance(path, str | Path) or not str(path):
        raise InputError(f"a path is a text or a pathlib.Path, such as 'runs/first', and not {shown(path)}; give one")
    if "\0" in str(path):
        raise InputError(f"the path {str(path)[:60]!r} holds a null character, which no file has; leave it out")
    try:
        place = Path(path).expanduser()
        str(place).encode()
    except RuntimeError as error:
        raise InputError(f"cannot find the home directory in {str(path)!r}: {error}. Write the path out.") from error
    except UnicodeEncodeError as error:
        raise InputError(f"the path {os.fsencode(place)!r:.200} is not UTF-8; rename it, or choose another") from error
    return place


def short_name(name: str, max_bytes: int = 160) -> str:
    """Make a file name short enough for a file system; a digest keeps different long names different.

    Args:
        name: One file name, without folders.
        max_bytes: Names up to this length stay as they are, in bytes of UTF-8.

    Returns:
        The name, or its beginning and eight hexadecimal digits of its digest, at most `max_bytes` long.
    """
    content = name.encode()
    if len(content) <= max_bytes:
        return name
    digest = hashlib.sha256(content).hexdigest()[:8]
    return f"{content[: max_bytes - 9].decode(errors='ignore')}-{digest}"


def is_there(path: Path) -> bool:
    """Tell whether a file or directory exists at a path; never true of a name that is too long for the file system.

    Args:
        path: Any path.

    Returns:
        True if something exists there.
    """
    try:
        return path.exists()
    except OSError:
        return False


def check_writable(path: Path) -> None:
    """Check that a directory can exist at `path`.

    Raises:
        InputError: A file is in the way, there is no permission, or a name is too long.
    """
    try:
        existing = next(place for place in (path, *path.absolute().parents) if place.exists())
    except OSError as error:  # a name too long for the file system
        raise InputError(f"cannot write to {short(path)}: {error.strerror}; choose another --out") from error
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"cannot write to {path}: {existing} is no directory you may write to; choose another --out")


def is_left_over(name: str) -> bool:
    """Tell whether a file name is a temporary one, of reasonlens or of safetensors."""
    return (TEMPORARY.fullmatch(name) or OF_SAFETENSORS.fullmatch(name)) is not None


def temporary_name(name: str) -> str:
    """Make a temporary name beside a file; it holds the number of the process that writes under it."""
    return f".{_cut(name)}.{_where()}-{os.getpid():x}-{uuid.uuid4().hex[:8]}.tmp"


def sweep_of(target: Path) -> None:
    """Remove the temporary files that killed writers of `target` left beside it.

    Those of living processes stay, and those of other machines, whose processes cannot be looked up here.
    """
    cut, where = _cut(target.name), _where()
    start = f".{cut}."
    with os.scandir(target.parent) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(start)]
    for name in names:
        parts = TEMPORARY.fullmatch(name)
        if parts and parts[1] == cut and parts[2] == where and not is_alive(int(parts[3], 16)):
            remove(target.with_name(name))


def remove(path: Path) -> None:
    """Remove a file or folder; what cannot be removed stays, without an error."""
    with suppress(OSError):  # its name may be none that this file system takes
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def is_alive(pid: int) -> bool:
    """Tell whether a process of this machine is running; True where that cannot be decided."""
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
    """Cut a name so that a temporary name made of it is not too long."""
    return name.encode()[:200].decode(errors="ignore")


@cache
def _where() -> str:
    """Digest where process numbers are valid: the host, and in a container its process namespace."""
    space = ""
    with suppress(OSError):
        space = os.readlink("/proc/self/ns/pid")
    return hashlib.sha256(f"{socket.gethostname()} {space}".encode()).hexdigest()[:8]


def sweep(directory: Path, lock_name: str) -> None:
    """Remove the temporary files that killed writers left in a directory and its folders.

    Args:
        directory: A directory whose lock the caller holds.
        lock_name: A folder that holds a file of this name has a writer of its own and is left alone.
    """
    for entry in list(directory.iterdir()):
        if is_left_over(entry.name):
            remove(entry)
        elif entry.is_dir() and not entry.is_symlink() and not (entry / lock_name).exists():
            sweep(entry, lock_name)
