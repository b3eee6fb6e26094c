"""Lock a model for a forward pass, and refuse to wait where waiting would never end.

A pass may run another model inside it (a controller that reads a thinking model). Two threads that each hold one model
and run the other one inside would wait for each other for ever; the second to ask gets an error instead.
"""

from __future__ import annotations

import os
from threading import Lock, RLock, get_ident

from ..rundir import InputError

_graph = Lock()  # held while owners and what they wait for are read or changed
_awaited: dict[int, PassLock] = {}  # thread -> the lock that it waits for


class PassLock:
    """A lock that its thread may take again."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._owner: int | None = None
        self._depth = 0

    def __enter__(self) -> None:
        me = get_ident()
        with _graph:
            if self._is_awaited_by_owner(me):
                raise InputError(
                    "two threads each run a model inside a pass of the other's model and would wait for each other for "
                    "ever; run both models in one thread"
                )
            _awaited[me] = self
        try:
            self._lock.acquire()
        finally:
            with _graph:
                del _awaited[me]
        with _graph:
            self._owner = me
            self._depth += 1

    def __exit__(self, *_: object) -> None:
        with _graph:
            self._depth -= 1
            if not self._depth:
                self._owner = None
            self._lock.release()

    def _is_awaited_by_owner(self, me: int) -> bool:
        """Follow owner and the lock that it waits for, from this lock on, until it ends or reaches a thread."""
        lock: PassLock | None = self
        while lock is not None and lock._owner is not None and lock._owner != me:
            lock = _awaited.get(lock._owner)
        return lock is not None and lock is not self and lock._owner == me


def _forget() -> None:
    """Begin anew in a forked process, which holds none of the other threads."""
    global _graph
    _graph = Lock()
    _awaited.clear()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_forget)
