"""Run by `forked.py`: commands whose disk refuses to write, or that die in the midst of writing.

Every file that Python opens to write, every folder it makes and every file it moves is one operation; from a given one
on, all below a directory are refused with one error of the system, or the process is killed there.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
EVENTS = ("open", "os.mkdir", "os.rename")
SIZES = ("4k", "64k", "512k", "4m", "64m")  # of a disk that is made larger until it holds everything


class Disk:
    """Counts the operations below a directory, and refuses those from one on."""

    def __init__(self, place: Path, error: int | None = None, from_operation: int = 0) -> None:
        """Say what is refused.

        Args:
            place: The directory.
            error: Number of the system's error; None: the process is killed.
            from_operation: The first that fails, from 1; 0: none.
        """
        self._place, self._error, self._first = str(place), error, from_operation
        self.n_operations = 0

    def watch(self) -> None:
        """Put it in force in this process, for good."""
        sys.addaudithook(self._operation)

    def _operation(self, event: str, arguments: tuple[object, ...]) -> None:
        if event not in EVENTS:
            return
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & WRITES):
            return
        path = os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes | os.PathLike) else ""
        if not path.startswith(self._place):
            return
        self.n_operations += 1
        if not self._first or self.n_operations < self._first:
            return
        if self._error is None:
            os.kill(os.getpid(), signal.SIGKILL)
        else:
            raise OSError(self._error, os.strerror(self._error), path)


def spread(n_operations: int, n: int) -> list[int]:
    """Choose `n` operations, evenly up to the last, or all where there are fewer."""
    return sorted({max(1, round(n_operations * number / n)) for number in range(1, n + 1)})


def refusal_line(notes: str, error: int | None) -> str:
    """Check that a command says what failed in one line and nothing else goes wrong; returns the line."""
    lines = [line for line in notes.splitlines() if line.startswith("reasonlens: ")]
    assert len(lines) == 1 and "Traceback" not in notes, f"not one line: {notes[-2000:]}"
    assert lines[0] == notes.rstrip().splitlines()[-1], f"more after the line: {notes[-2000:]}"
    if error is not None:
        assert os.strerror(error) in lines[0] or "no directory you may write to" in lines[0], lines[0]
    return lines[0]


def on_a_small_disk(place: Path, run: Callable[[Path, Path], int], compare: Callable[[Path], None]) -> int | None:
    """Run on a disk that is truly full, then larger, until the command comes to its end.

    Returns:
        How often it was refused; None where no file system may be mounted.
    """
    disk = place / "disk"
    disk.mkdir()
    if not mounted(disk, f"size={SIZES[0]}"):
        return None
    n_refused = 0
    try:
        for size in SIZES:
            assert mounted(disk, f"remount,size={size}")
            notes = place / f"notes-{size}"
            code = run(disk / "out", notes)
            if code == 0:
                compare(disk / "out")
                return n_refused
            assert code == 2, f"{size}: exit code {code}: {notes.read_text()[-2000:]}"
            refusal_line(notes.read_text(), 28)
            n_refused += 1
        raise AssertionError(f"{SIZES[-1]} are not enough: {notes.read_text()[-2000:]}")
    finally:
        subprocess.run(["umount", disk], check=True)


def on_a_read_only_disk(place: Path, run: Callable[[Path, Path], int]) -> str | None:
    """Run where nothing may be written; returns what is said, or None where no file system may be mounted."""
    disk = place / "read-only"
    disk.mkdir()
    if not mounted(disk, "ro,size=64k"):
        return None
    try:
        assert run(disk / "out", place / "notes-ro") == 2, (place / "notes-ro").read_text()[-2000:]
        return refusal_line((place / "notes-ro").read_text(), None)
    finally:
        subprocess.run(["umount", disk], check=True)


def mounted(place: Path, options: str) -> bool:
    command: Sequence[str | Path] = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", place]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False
