"""Copy tensors to an accelerator so that the host does not wait for it.

A copy from ordinary memory makes the host wait until the device has done all that it was given before. A copy from
pinned memory is put in line with the rest. What is needed again and again is copied once.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

PINNED = {"cuda"}  # kinds of devices to which pinned memory is copied without a wait


def uploaded(values: Tensor | Sequence[float] | Sequence[Sequence[float]], device: torch.device) -> Tensor:
    """Copy numbers from the host to a device; nothing waits on CUDA.

    Args:
        values: A tensor on the CPU, or numbers to make one of.
        device: Where they are needed.

    Returns:
        The tensor there.
    """
    tensor = values if isinstance(values, Tensor) else torch.tensor(values)
    if device.type in PINNED and tensor.device.type == "cpu" and tensor.numel():
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


class DeviceCopies:
    """A tensor that does not change, with a copy on each device on which it was needed."""

    def __init__(self, tensor: Tensor) -> None:
        self._tensor, self._copies = tensor, {tensor.device: tensor}

    def on(self, device: torch.device) -> Tensor:
        """Return the tensor on a device."""
        if device not in self._copies:
            with torch.inference_mode(False):  # or it would serve no pass that is walked back
                self._copies[device] = uploaded(self._tensor.detach(), device)
        return self._copies[device]
