"""Run tasks side by side in processes that end with the command that started them, however it ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import Any, TypeVar

from .errors import InputError

Done = TypeVar("Done")


def side_by_side(function: Callable[..., Done], tasks: Sequence[tuple[Any, ...]], jobs: int) -> list[Done]:
    """Call a function for each task, in processes of their own where several tasks are to run at a time.

    Args:
        function: Of a module, so that another process can import it.
        tasks: The arguments of each call.
        jobs: How many run at a time; with one, or for one task, they run here.

    Returns:
        What the calls returned, in the order of the tasks.

    Raises:
        InputError: There are no jobs, a process was killed, or a call raised it.
    """
    check_jobs(jobs)
    if min(jobs, len(tasks)) <= 1:
        return [function(*task) for task in tasks]
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(min(jobs, len(tasks)), mp_context=context, initializer=end_with_parent) as pool:
            return [future.result() for future in [pool.submit(function, *task) for task in tasks]]
    except BrokenProcessPool as error:
        raise InputError("a process was killed (out of memory?); the same command goes on from there") from error


def check_jobs(jobs: int) -> None:
    """Refuse a number of jobs that is none.

    Raises:
        InputError: It is below 1.
    """
    if jobs < 1:
        raise InputError(f"jobs are counted from 1, and {jobs} is none")


def end_with_parent() -> None:
    """Make this process end when its parent does, and at an interrupt without a traceback.

    Initialise the workers of a pool with it. A parent that is killed cannot tell them; whoever runs the command again
    goes on, and two must not write one file.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
