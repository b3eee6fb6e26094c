"""Check the device that a model runs on or probes are fitted on; let tiny models run on one thread of a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ..rundir import InputError, shown


def device_of(device: object) -> torch.device:
    """Find the device that is meant.

    Args:
        device: Such as "cpu" or "cuda:1", or a torch.device; None means CUDA where there is one.

    Returns:
        The device.

    Raises:
        InputError: It is no device, or cannot be used here.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not isinstance(device, str | torch.device):
        raise InputError(f"device takes a text such as 'cpu' or 'cuda:1', and not {shown(device)}; give None to choose")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"device {str(device)!r:.60} cannot be used here: {str(error).splitlines()[0]:.300}. "
            "`reasonlens doctor` lists the devices of this machine."
        ) from error
    return torch.device(device)


@contextmanager
def single_thread() -> Iterator[None]:
    """Let torch compute on one thread: sums are then taken in one order, however many processes run side by side."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
