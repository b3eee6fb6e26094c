"""See waits as a real GPU shows them, by torch's debug mode for synchronising operations.

1. Where a path may not wait at all, the mode is "error": torch raises inside of the operation that would wait.
2. Else it is "warn", since "error" has no exceptions. Each warning is traced to the nearest function of reasonlens: one
   that the table lists is counted, any other raises as "error" would.

torch does not see waits for events, nor copies from memory that is not pinned if they are asked not to block.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from .machine import waiting_place

MESSAGE = "called a synchronizing CUDA operation"


@contextmanager
def sync_debug(may_wait: Callable[[str], bool] | None) -> Iterator[Counter[str]]:
    """Count the waits of this process by function, and refuse those of functions that may not wait.

    Args:
        may_wait: Whether a function ("module:name", without "reasonlens.") may wait; None: nothing may.

    Yields:
        The number of waits of each function, complete at the end.

    Raises:
        RuntimeError: Something waited that may not, from the operation that did.
    """
    counted: Counter[str] = Counter()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Synchronization debug mode is a prototype")
        warnings.filterwarnings("always", message=MESSAGE)
        show = warnings.showwarning

        def count(message: Warning | str, *details: Any, **options: Any) -> None:
            if MESSAGE not in str(message):
                show(message, *details, **options)
                return
            place = waiting_place()
            if may_wait is not None and not may_wait(place):
                raise RuntimeError(f"{MESSAGE} where ceilings.py allows none: {place}")
            counted[place] += 1

        warnings.showwarning = count
        before = torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("error" if may_wait is None else "warn")
        try:
            yield counted
        finally:
            torch.cuda.set_sync_debug_mode(before)
