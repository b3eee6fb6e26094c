"""Run one forward pass that sums activations over segments on the way.

1. A hook at each chosen site sums activations over the segments of the layout (`sums.py`), in float32, and adds them to
   a buffer that was made before the pass; activations are freed with their block.
2. Only the body is run, and the last hook stops it: later blocks and the head cost nothing.
3. Nothing waits for a GPU: the hooks' indices are on the device before the pass begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ...models import LanguageModel
from ...models.one_pass import one_pass
from ...models.place import Place, SiteHook
from ...models.sites import Site
from .segments import Layout
from .sums import Reader, reader
from .transfer import to_device


class _LastLayerRead(Exception):
    """Stops a forward pass once the last layer has been read."""


class Buffer:
    """Sums of activations and of their norms over the segments of a batch, on each layer's own device.

    Several passes may add to the same segments: chunks of a long text, a shared prefix and what follows it.
    """

    def __init__(self, model: LanguageModel, layers: Sequence[int], sites: Sequence[Site], n_segments: int) -> None:
        self.by_device: dict[torch.device, list[int]] = {}
        for layer in layers:
            self.by_device.setdefault(device_of_block(model.blocks[layer], model.device), []).append(layer)
        self._sums = {
            device: torch.zeros(len(sites), len(device_layers), n_segments, model.d_model, device=device)
            for device, device_layers in self.by_device.items()
        }
        self._norms = {
            device: torch.zeros(len(sites), len(device_layers), n_segments, device=device)
            for device, device_layers in self.by_device.items()
        }
        self._site_slots = {site: slot for slot, site in enumerate(sites)}
        self._place = {
            layer: (device, slot)
            for device, device_layers in self.by_device.items()
            for slot, layer in enumerate(device_layers)
        }

    def at(self, layer: int, site: Site) -> tuple[Float[Tensor, "n_segments d_model"], Float[Tensor, " n_segments"]]:
        """Return the sums of activations and of norms at one site of one layer."""
        device, slot = self._place[layer]
        place = self._site_slots[site], slot
        return self._sums[device][place], self._norms[device][place]

    def device_of(self, layer: int) -> torch.device:
        """Return the device on which a layer's activations are summed."""
        return self._place[layer][0]

    def means(
        self, n_positions: Int[np.ndarray, " n_segments"]
    ) -> list[
        tuple[
            list[int],
            Float[Tensor, "n_sites n_layers n_segments d_model"],
            Float[Tensor, "n_sites n_layers n_segments"],
        ]
    ]:
        """Divide the sums in place: layers, mean activations and mean norms of each device."""
        means = []
        for device, device_layers in self.by_device.items():
            counts = to_device(n_positions.astype(np.float32), device)
            means.append((device_layers, self._sums[device].div_(counts[:, None]), self._norms[device].div_(counts)))
        return means


def pass_over(
    model: LanguageModel,
    inputs: dict[str, Any],
    places: Mapping[tuple[int, Site], Place],
    where: Layout | None,
    buffer: Buffer,
) -> None:
    """Run the body on `inputs` until all of `places` are read, adding the sums over `where` to `buffer`.

    Raises InputError if a place did not come by.
    """
    readers: dict[torch.device, Reader] = {}
    if where is not None:
        n_rows = inputs["input_ids"].numel()
        readers = {device: reader(where, device, model.model.dtype, n_rows) for device in buffer.by_device}
    last_layer = max(layer for layer, _ in places)
    remaining = {site for layer, site in places if layer == last_layer}

    def reading(layer: int, site: Site) -> SiteHook:
        def read(activations: Float[Tensor, "batch position d_model"]) -> None:
            if where is not None:
                device = buffer.device_of(layer)
                readers[device](activations.to(device).flatten(0, 1), *buffer.at(layer, site))
            if layer == last_layer:
                remaining.discard(site)
                if not remaining:
                    raise _LastLayerRead

        return read

    hooks = {place: reading(layer, site) for (layer, site), place in places.items()}
    with torch.inference_mode(), one_pass(model, readers=hooks):
        try:
            model.body(**inputs)
        except _LastLayerRead:
            pass


def device_of_block(block: nn.Module, fallback: torch.device) -> torch.device:
    """Return the device on which a block computes; accelerate's hook knows that of an offloaded one."""
    weight = next(block.parameters(), None)
    if weight is not None and weight.device.type != "meta":
        return weight.device
    execution = getattr(getattr(block, "_hf_hook", None), "execution_device", None)
    device = fallback if execution is None else torch.device(execution)
    return torch.device("cuda", torch.cuda.current_device()) if device == torch.device("cuda") else device
