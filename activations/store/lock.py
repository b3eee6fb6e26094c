"""One writer for a directory: a lock that the operating system frees when its holder dies.

Whoever gets it removes what killed writers left half written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ...models import InputError


@contextmanager
def only_writer(directory: Path) -> Iterator[None]:
    """Hold the directory (made if need be). Raises InputError when another process holds it or it cannot be made."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = FileLock(directory / "lock")
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(
            f"another process is writing to {directory}: wait for it, stop it, or choose another directory"
        ) from error
    except OSError as error:
        raise InputError(f"cannot write to {directory}: {error.strerror}. Choose another directory.") from error
    try:
        for left_over in directory.glob(".*.tmp"):
            left_over.unlink(missing_ok=True)
        yield
    finally:
        lock.release()
