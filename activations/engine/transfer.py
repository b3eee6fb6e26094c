"""Copy between host and devices so that neither waits for the other.

1. To a GPU from pinned memory: any other copy would wait for everything that is queued there.
2. From a GPU on a stream of its own, which waits for what is queued so far; the next batch does not wait for the copy.
   `record_stream` keeps what is copied until then, and an event says that it is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


def to_device(array: np.ndarray[Any, Any], device: torch.device) -> Tensor:
    """Copy to a device, to a GPU from pinned memory."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


@dataclass(frozen=True, eq=False, slots=True)
class HostCopy:
    """Tensors on their way to the host."""

    _tensors: tuple[Tensor, ...]
    _event: torch.cuda.Event | None

    def tensors(self) -> tuple[Tensor, ...]:
        """Wait until they are there, and return them."""
        if self._event is not None:
            self._event.synchronize()
        return self._tensors


class HostCopies:
    """Copies tensors to the host, from each GPU on one stream of its own."""

    def __init__(self) -> None:
        self._streams: dict[torch.device, torch.cuda.Stream] = {}

    def begin(self, tensors: Sequence[Tensor]) -> HostCopy:
        """Begin to copy tensors of one device; what is queued there computes them."""
        if not tensors[0].is_cuda:
            return HostCopy(tuple(tensor.cpu() for tensor in tensors), None)
        device = tensors[0].device
        if device not in self._streams:
            self._streams[device] = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        stream = self._streams[device]
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            copies = tuple(
                torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(tensor, non_blocking=True)
                for tensor in tensors
            )
        for tensor in tensors:
            tensor.record_stream(stream)
        return HostCopy(copies, stream.record_event())
