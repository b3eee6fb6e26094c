"""Tell the forward passes that a `steer` block is meant for from those of other threads and tasks.

A block is open in the context (`contextvars`) that entered it: in its thread, in the asyncio tasks that are started
inside it, and in what `asyncio.to_thread` runs for them. A new thread begins with an empty context, so that a function
which is to be steered there has to be carried into it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_open_scopes: ContextVar[tuple[Scope, ...]] = ContextVar("reasonlens_steer", default=())


class Scope:
    """One `steer` block, as the contexts see it in which it is open."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.n_carried = 0  # functions that were carried into another thread and still run

    @property
    def is_here(self) -> bool:
        """Whether the block is open in the context that asks."""
        return self in _open_scopes.get()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Open the block in this context; another one may close it."""
        _open_scopes.set((*_open_scopes.get(), self))
        try:
            yield
        finally:
            scopes = list(_open_scopes.get())
            if self in scopes:
                scopes.reverse()
                scopes.remove(self)  # once: a carried function may run in the thread where the block is open
                _open_scopes.set(tuple(reversed(scopes)))

    def carried(self, function: Callable[P, R]) -> Callable[P, R]:
        """Make a function in which the block is open, in whatever thread it runs."""

        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            self._count(1)
            try:
                with self.opened():
                    return function(*args, **kwargs)
            finally:
                self._count(-1)

        return run

    def _count(self, change: int) -> None:
        with self._lock:
            self.n_carried += change
