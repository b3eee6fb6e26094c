"""Lock a place for one writer at a time; the operating system frees the lock when its holder dies.

    .lock           held by the writer (flock); empty
    .holder.json    a note: process, host, command line and time of the writer

Both are removed when the writer ends, and stay when it is killed. The note is for people: only the lock decides.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from .errors import InputError, short, writing
from .places import check_writable, is_alive

LOCK, HOLDER = ".lock", ".holder.json"
N_TRIES = 5
PATIENCE_S = 1.0  # how long a loser waits for the winner's note


@contextmanager
def only_writer(directory: Path) -> Iterator[None]:
    """Lock a directory while the block runs.

    Args:
        directory: Created if it does not exist; if it was, and is still empty at the end, it is removed again.

    Yields:
        Nothing.

    Raises:
        InputError: Another process holds the lock (it is named), or the directory cannot be created.
    """
    check_writable(directory)
    with _held(directory, directory / LOCK, directory / HOLDER):
        yield


@contextmanager
def only_writer_of(file: Path) -> Iterator[None]:
    """Lock one file among others while the block runs, by a lock of its own beside it (`.NAME.lock`).

    Args:
        file: The file; it need not exist. Its directory is created if it does not exist.

    Yields:
        Nothing.

    Raises:
        InputError: Another process holds the lock (it is named), or the directory cannot be created.
    """
    check_writable(file.parent)
    with _held(file, file.with_name(f".{file.name}{LOCK}"), file.with_name(f".{file.name}{HOLDER}")):
        yield


def is_of_the_lock(name: str) -> bool:
    """Tell whether a file name is one that a lock writes."""
    return name.startswith(".") and name.endswith((LOCK, HOLDER))


@contextmanager
def _held(place: Path, lock_file: Path, note: Path) -> Iterator[None]:
    """Hold a lock while the block runs, with a note beside it."""
    lock, new_folders = _acquire(place, lock_file, note)
    try:
        with writing(place):
            note.write_text(json.dumps(_ourselves()) + "\n", "utf-8")
        yield
    finally:
        with suppress(OSError):
            note.unlink(missing_ok=True)
            lock_file.unlink(missing_ok=True)  # while it is held: whoever has opened it sees that it is gone
            for folder in new_folders:
                folder.rmdir()  # where nothing was written; stops at the first that holds something
        lock.release()


def _acquire(place: Path, lock_file: Path, note: Path) -> tuple[FileLock, list[Path]]:
    """Create the directory of a place and lock it; also return the folders that were created, the lowest first."""
    lock, directory = FileLock(lock_file), lock_file.parent
    for _ in range(N_TRIES):
        new_folders = [folder for folder in (directory, *directory.parents) if not folder.exists()]
        try:
            with writing(place):
                directory.mkdir(parents=True, exist_ok=True)
                lock.acquire(timeout=0)
            return lock, new_folders
        except Timeout as error:
            raise InputError(
                f"{short(place)} is being written by {_holder(note)}: wait for it, stop it, or choose another --out"
            ) from error
        except FileNotFoundError:
            continue  # another writer that has written nothing removed the directory as it ended
    raise InputError(f"cannot write to {short(place)}: it is removed as soon as it is made; choose another --out")


def _ourselves() -> dict[str, str | int]:
    """Describe this process for the note."""
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]) if sys.argv else "",
        "since": datetime.now().astimezone().isoformat(timespec="seconds"),
    }


def _holder(note: Path) -> str:
    """Describe the process that holds the lock; wait for its note, which is written after the lock."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            holder = json.loads(note.read_text("utf-8"))
            pid, host = int(holder["pid"]), str(holder["host"])
            if host != socket.gethostname() or is_alive(pid):
                return f"process {pid} on {host} ({holder['command']!s:.200}, since {holder['since']})"
        except (OSError, ValueError, KeyError, TypeError):
            pass
        if time.monotonic() > end:
            return "another process"
        time.sleep(0.02)
