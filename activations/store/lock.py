"""One writer for a directory: a lock that the operating system frees when its holder dies.

Whoever gets it removes what killed writers left half written; whoever fails before anything is written leaves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ...rundir import InputError

LOCK = "lock"


@contextmanager
def only_writer(directory: Path, ours: tuple[str, ...]) -> Iterator[None]:
    """Hold the directory (made if need be). ours: how the names of the files begin that this writer makes.

    Raises InputError when another process holds it, it holds other files, or it cannot be made.
    """
    is_new = not directory.exists()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        names = [file.name for file in directory.iterdir()]
        foreign = [name for name in names if not name.lstrip(".").startswith((*ours, LOCK)) and not _is_left_over(name)]
        if foreign:
            raise InputError(
                f"{directory} holds {sorted(foreign)[0]}, which does not belong to what is to be written there; choose "
                "another directory"
            )
        lock = FileLock(directory / LOCK)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(
            f"another process is writing to {directory}: wait for it, stop it, or choose another directory"
        ) from error
    except OSError as error:
        raise InputError(f"cannot write to {directory}: {error.strerror}. Choose another directory.") from error
    try:
        for file in directory.iterdir():
            if _is_left_over(file.name):
                file.unlink(missing_ok=True)
        yield
    finally:
        if is_new and all(file.name == LOCK for file in directory.iterdir()):
            (directory / LOCK).unlink(missing_ok=True)
            directory.rmdir()
        lock.release()


def _is_left_over(name: str) -> bool:
    """What a killed writer leaves: our temporary files, and those (.tmpXXXXXX) through which safetensors writes."""
    return name.startswith(".tmp") or (name.startswith(".") and name.endswith(".tmp"))
