"""Run something in children that are killed as they write, until one of them comes to the end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable


def run_to_the_end(run: Callable[[], object], step: int, most: int = 60) -> int:
    """Fork children that are killed, without a chance to tidy up, in the middle of a write: each `step` writes later.

    Every second child leaves half of that write behind.

    Returns:
        How many children were killed before one ended by itself.
    """
    for number in range(most):
        child = os.fork()
        if child == 0:
            try:
                _die_at(step * (number + 1), is_torn=number % 2 == 1)
                run()
            except BaseException:
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0, "the run ended in an error"
            return number
        assert os.WTERMSIG(status) == signal.SIGKILL
    raise AssertionError(f"no end after {most} runs")


def _die_at(n: int, *, is_torn: bool) -> None:
    """Let this process die in its n-th write of a log, or as its n-th file is about to appear."""
    write, replace = os.write, os.replace
    done = 0

    def counted() -> bool:
        nonlocal done
        done += 1
        return done == n

    def dying_write(descriptor: int, content: bytes) -> int:
        if len(content) > 100 and counted():  # the rows of a log
            if is_torn:
                write(descriptor, content[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return write(descriptor, content)

    def dying_replace(source: object, target: object) -> None:
        if counted():
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)  # type: ignore[arg-type]

    os.write, os.replace = dying_write, dying_replace  # type: ignore[assignment]
