"""Ask an endpoint many things at the same time, with a key that stands in an environment variable."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from typing import TypeVar

from ..rundir import InputError
from .chat_endpoint import NoReply

STOP_S = 2.0  # that requests have to end in once they are stopped
LAST_S = 60.0  # that requests under way have for their replies, which are paid for, after another has failed
Asked = TypeVar("Asked")


def secret_of(variable: str) -> str | None:
    """Read a key from the environment.

    Args:
        variable: Name of the variable that holds it.

    Returns:
        The key; None where the variable is not set or empty.

    Raises:
        InputError: It holds what no key has. The message does not show it.
    """
    secret = os.environ.get(variable, "").strip()  # a file's last line break is no part of it
    if not re.fullmatch(r"[!-~]*", secret):
        raise InputError(f"the key in {variable} holds a space, a line break or a letter that no key has: set it anew")
    return secret or None


def in_threads(
    n_parallel: int,
    ask_once: Callable[[Asked], object],
    requests: Iterable[Asked],
    stop: threading.Event,
    last_s: float = 0.0,
) -> None:
    """Ask every request; on the first error, or an interrupt, begin no other, set `stop`, and wait only a moment.

    Args:
        n_parallel: How many are asked at the same time.
        ask_once: Asks one; it heeds `stop`.
        requests: What is asked.
        stop: Set on an error.
        last_s: Seconds for which requests under way go on before, unless what failed is refused: so will they be.
    """

    errors: list[BaseException] = []  # the first is why the others were stopped
    futures: list[Future[None]] = []

    def ask_unless_stopped(request: Asked) -> None:
        if errors or stop.is_set():
            return
        try:
            ask_once(request)
        except BaseException as error:
            errors.append(error)
            if not _may_be_of_one(error):
                stop.set()
            raise

    pool = ThreadPoolExecutor(n_parallel)
    try:
        for request in requests:
            futures.append(pool.submit(ask_unless_stopped, request))
        for future in as_completed(futures):
            if future.exception() is not None:
                raise errors[0]
    except BaseException as error:
        pool.shutdown(wait=False, cancel_futures=True)
        under_way = [future for future in futures if not future.cancelled()]
        try:
            if errors and error is errors[0] and _may_be_of_one(error):
                wait(under_way, last_s)
        finally:
            stop.set()
            wait(under_way, STOP_S)
        raise
    pool.shutdown()


def _may_be_of_one(error: BaseException) -> bool:
    """Tell whether an error may be of one request alone, so that others under way still get their replies."""
    return isinstance(error, NoReply) and error.kind != "refused"
