"""Run layers in parallel, one thread each.

Several threads that share one small matrix product wait for each other at its end, most of the time if something else
runs on the machine. With one thread for each layer nothing waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from ..rundir.progress import with_progress

Result = TypeVar("Result")


def map_layers(
    fit: Callable[[int], Result], layers: Iterable[int], device: torch.device, progress: bool
) -> list[Result]:
    """Call `fit` for every layer and return the results in order; on a GPU one after the other."""
    numbers = list(layers)

    def collect(results: Iterable[Result]) -> list[Result]:
        return list(with_progress(results, desc="fitting probes", unit="layer", total=len(numbers), progress=progress))

    n_threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")  # no TF32, no bfloat16, whatever the caller has set
    try:
        if device.type != "cpu":
            return collect(map(fit, numbers))
        with ThreadPoolExecutor(n_threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return collect(pool.map(fit, numbers))
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.set_num_threads(n_threads)  # all threads of Python share one setting of MKL
