"""Hold mean activations of some of the layers that are read, where they are: the layers of one device together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ...models import LanguageModel
from .pooling import device_of_block


@dataclass(frozen=True, eq=False, slots=True)
class LayerMeans:
    """Activations of some layers on one device, averaged over segments."""

    slots: list[int]  # which of the layers that are read, in the order of the means
    means: Float[Tensor, "n_sites n_slots n_segments d_model"]

    def of(self, segments: slice) -> LayerMeans:
        """Select some of the segments.

        Args:
            segments: Which.

        Returns:
            Their means at the same layers.
        """
        return LayerMeans(self.slots, self.means[:, :, segments])


def slots_by_device(model: LanguageModel, layers: Sequence[int]) -> dict[torch.device, list[int]]:
    """List which of `layers` each device computes."""
    by_device: dict[torch.device, list[int]] = {}
    for slot, layer in enumerate(layers):
        by_device.setdefault(device_of_block(model.blocks[layer], model.device), []).append(slot)
    return by_device


def in_order(parts: Sequence[tuple[list[int], Tensor]]) -> Tensor:
    """Put parts of the layers together, on the CPU; a single part is returned as it is, where it is.

    Args:
        parts: The slots of some layers, and a tensor with these layers along its second axis.

    Returns:
        The tensor of all layers.
    """
    if len(parts) == 1:
        return parts[0][1]
    slots = torch.tensor([slot for of_part, _ in parts for slot in of_part])
    return torch.cat([tensor.cpu() for _, tensor in parts], dim=1)[:, slots.argsort()]
