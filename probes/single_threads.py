"""Run layers side by side, one thread each.

Several threads that share one small matrix product wait for each other at its end, most of the time if something else
runs on the machine. With one thread for each piece of work nothing waits. Work in Python, which only one thread can do
at a time, is done beside the layers, whose products leave Python free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits

from ..rundir.progress import with_progress

Result = TypeVar("Result")
Other = TypeVar("Other")


def map_layers(
    fit: Callable[[int], Result], layers: Iterable[int], device: torch.device, progress: bool
) -> list[Result]:
    """Call `fit` for every layer and return the results in order; on a GPU one after the other."""
    return map_layers_beside(lambda: None, fit, layers, device, progress)[1]


def map_layers_beside(
    other: Callable[[], Other],
    fit: Callable[[int], Result],
    layers: Iterable[int],
    device: torch.device,
    progress: bool,
) -> tuple[Other, list[Result]]:
    """Call `fit` for every layer, on a CPU in as many threads as torch has, and `other` in one of these threads.

    Args:
        other: Work beside the layers.
        fit: Must not depend on the order of calls. Libraries run one thread in it.
        layers: Its arguments.
        device: Where `fit` computes; on a GPU one layer after the other.
        progress: Whether there is a bar over layers.

    Returns:
        The result of `other`, and those of the layers in their order.
    """
    numbers, n_threads = list(layers), torch.get_num_threads()
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")  # no TF32, no bfloat16, whatever the caller has set
    try:
        with threadpool_limits(1), ThreadPoolExecutor(n_threads, initializer=_limit_libraries) as pool:
            beside = pool.submit(other)
            fits = pool.map(fit, numbers) if device.type == "cpu" else map(fit, numbers)
            shown = with_progress(fits, desc="fitting probes", unit="layer", total=len(numbers), progress=progress)
            results = list(shown)
            return beside.result(), results
    finally:
        torch.set_num_threads(n_threads)  # all threads of Python share one setting of MKL
        torch.set_float32_matmul_precision(precision)


def _limit_libraries() -> None:
    torch.set_num_threads(1)
    threadpool_limits(1)  # OpenMP counts its threads for each thread of Python
