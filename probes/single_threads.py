"""Run layers, scorers and behaviours side by side, one thread each.

Several threads that share one small matrix product wait for each other at its end, most of the time if something else
runs on the machine. With one thread for each piece of work nothing waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypedDict, TypeVar

import torch
from threadpoolctl import threadpool_limits

from ..rundir.progress import with_progress

Item = TypeVar("Item")
Result = TypeVar("Result")


class Bar(TypedDict):
    """How a progress bar is labelled, and whether it is shown."""

    desc: str
    unit: str
    progress: bool


def map_items(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    desc: str = "",
    unit: str = "item",
    progress: bool = False,
) -> list[Result]:
    """Call `work` for every item in as many threads as torch has.

    Args:
        work: Must not depend on the order of calls. Libraries run one thread in it.
        items: Its arguments.
        desc: The work, in front of a progress bar.
        unit: What an item is, in the singular.
        progress: Whether there is a bar.

    Returns:
        The results, in the order of the items.
    """
    arguments, n_threads = list(items), torch.get_num_threads()
    try:
        with (
            threadpool_limits(1),
            ThreadPoolExecutor(n_threads, initializer=_limit_libraries) as pool,
        ):
            results = pool.map(work, arguments)
            return list(with_progress(results, desc=desc, unit=unit, total=len(arguments), progress=progress))
    finally:
        torch.set_num_threads(n_threads)  # all threads of Python share one setting of MKL


def map_layers(
    fit: Callable[[int], Result], layers: Iterable[int], device: torch.device, progress: bool
) -> list[Result]:
    """Call `fit` for every layer and return the results in order; on a GPU one after the other."""
    numbers, precision = list(layers), torch.get_float32_matmul_precision()
    bar: Bar = {"desc": "fitting probes", "unit": "layer", "progress": progress}
    torch.set_float32_matmul_precision("highest")  # no TF32, no bfloat16, whatever the caller has set
    try:
        if device.type == "cpu":
            return map_items(fit, numbers, **bar)
        return list(with_progress(map(fit, numbers), total=len(numbers), **bar))
    finally:
        torch.set_float32_matmul_precision(precision)


def _limit_libraries() -> None:
    torch.set_num_threads(1)
    threadpool_limits(1)  # OpenMP counts its threads for each thread of Python
