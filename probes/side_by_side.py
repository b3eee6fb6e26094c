"""Layers side by side, one thread each.

Several threads in one small matrix product wait for each other at its end, and where something else runs on the machine
they do little else. One thread a layer waits for nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from ..rundir.progress import with_progress

Found = TypeVar("Found")


def each_layer(fit: Callable[[int], Found], layers: Iterable[int], device: torch.device, progress: bool) -> list[Found]:
    """`fit` of every layer, in order; on a GPU one after the other."""
    wanted = list(layers)

    def shown(found: Iterable[Found]) -> list[Found]:
        return list(with_progress(found, desc="fitting probes", unit="layer", total=len(wanted), progress=progress))

    n_threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")  # no TF32, no bfloat16, whatever the caller has set
    try:
        if device.type != "cpu":
            return shown(map(fit, wanted))
        with ThreadPoolExecutor(n_threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return shown(pool.map(fit, wanted))
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.set_num_threads(n_threads)  # the number of MKL's threads is one for all threads of Python
