"""Run layers, scorers and behaviours side by side, one thread each.

Several threads that share one small matrix product wait for each other at its end, most of the time if something else
runs on the machine. With one thread for each piece of work nothing waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits

from ..rundir.progress import with_progress

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_items(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Call `work` for every item in as many threads as torch has, and yield the results in order.

    Args:
        work: Must not depend on the order of calls. Libraries run one thread in it.
        items: Its arguments.

    Yields:
        The results.
    """
    n_threads = torch.get_num_threads()
    try:
        with (
            threadpool_limits(1),
            ThreadPoolExecutor(n_threads, initializer=_limit_libraries) as pool,
        ):
            yield from pool.map(work, items)
    finally:
        torch.set_num_threads(n_threads)  # all threads of Python share one setting of MKL


def map_layers(
    fit: Callable[[int], Result], layers: Iterable[int], device: torch.device, progress: bool
) -> list[Result]:
    """Call `fit` for every layer and return the results in order; on a GPU one after the other."""
    numbers, precision = list(layers), torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")  # no TF32, no bfloat16, whatever the caller has set
    try:
        results = map_items(fit, numbers) if device.type == "cpu" else map(fit, numbers)
        return list(with_progress(results, desc="fitting probes", unit="layer", total=len(numbers), progress=progress))
    finally:
        torch.set_float32_matmul_precision(precision)


def _limit_libraries() -> None:
    torch.set_num_threads(1)
    threadpool_limits(1)  # OpenMP counts its threads for each thread of Python
