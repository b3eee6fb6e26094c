"""Compare two expressions as mathematics (math-verify), in a process of its own with a bound on its time.

math-verify bounds its time by a signal, which works in the main thread alone. A second process needs no signal,
works in every thread and event loop, and can be ended whatever it computes.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from functools import lru_cache
from pathlib import Path

START_S = 60.0  # for the process to begin: it imports sympy
MAX_S = 5.0  # for one comparison
MAX_CHARACTERS = 2000  # of an expression

_lock = threading.Lock()


class _Worker:
    """A process that compares, and the thread that reads what it answers."""

    def __init__(self) -> None:
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("_equivalence_worker.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env=os.environ | {"PYTHONPATH": path},
        )
        self.pid = os.getpid()
        self.answers: queue.Queue[str] = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.is_new = True

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                self.answers.put(line)
        self.answers.put("")

    def ask(self, reference: str, answer: str) -> bool | None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([reference, answer]) + "\n")
        self.process.stdin.flush()
        line = self.answers.get(timeout=START_S if self.is_new else MAX_S)
        self.is_new = False
        if not line:
            raise BrokenPipeError
        is_equal: bool | None = json.loads(line)
        return is_equal

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.kill()
        self.process.wait()
        self.reader.join()
        with contextlib.suppress(OSError):  # what was not yet read by the process is lost with it
            self.process.stdin.close()


_worker: _Worker | None = None


@lru_cache(maxsize=4096)
def are_equal(reference: str, answer: str) -> bool | None:
    """Compare two texts as mathematics.

    Args:
        reference: An expression, in LaTeX or plain.
        answer: Another.

    Returns:
        Whether they are equal; None where the reference is no expression, or the comparison takes longer than `MAX_S`.
    """
    global _worker
    if max(len(reference), len(answer)) > MAX_CHARACTERS:
        return None
    with _lock:
        if _worker is not None and (_worker.pid != os.getpid() or _worker.process.poll() is not None):
            _worker = None  # of the process that this one was forked from, or ended
        try:
            if _worker is None:
                _worker = _Worker()
                _worker.ask("1", "1")
            return _worker.ask(reference, answer)
        except (queue.Empty, OSError, ValueError):
            _end()
            return None


def _end() -> None:
    global _worker
    if _worker is not None and _worker.pid == os.getpid():
        _worker.end()
    _worker = None


atexit.register(_end)
