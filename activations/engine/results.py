"""Hold what a batch gives: its means once they are on the host, and until then what is on its way there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from .layer_means import LayerMeans, in_order
from .transfer import HostCopies, HostCopy


@dataclass(frozen=True, eq=False, slots=True)
class Pooled:
    """The results of one batch: mean activations and, on the CPU, mean norms of segments, float32."""

    segments: Int[np.ndarray, " n_segments"]
    parts: tuple[LayerMeans, ...]  # one, but for layers of several devices that stay where they are
    norms: Float[Tensor, "n_sites n_layers n_segments"]
    n_tokens: int  # of the texts in the batch

    @property
    def means(self) -> Float[Tensor, "n_sites n_layers n_segments d_model"]:
        """The means of all layers in one place."""
        return in_order([(part.slots, part.means) for part in self.parts])


class RunningBatch:
    """A batch whose passes have been launched; on a GPU its results are on their way to the host."""

    def __init__(
        self,
        segments: Int[np.ndarray, " n_segments"],
        device_means: list[tuple[list[int], Tensor, Tensor]],
        n_tokens: int,
        layers: list[int],
        copies: HostCopies,
        stays: bool,
    ) -> None:
        self._segments, self._n_tokens = segments, n_tokens
        slot_of = {layer: slot for slot, layer in enumerate(layers)}
        slots = [[slot_of[layer] for layer in part_layers] for part_layers, _, _ in device_means]
        self._there = [
            LayerMeans(part, means) for part, (_, means, _) in zip(slots, device_means, strict=True) if stays
        ]
        self._copies: list[tuple[list[int], HostCopy]] = [
            (part, copies.begin([norms] if stays else [norms, means]))
            for part, (_, means, norms) in zip(slots, device_means, strict=True)
        ]

    def finish(self) -> Pooled:
        """Wait for the results and put the layers in order."""
        copied = [(slots, copy.tensors()) for slots, copy in self._copies]
        norms = in_order([(slots, tensors[0]) for slots, tensors in copied])
        if self._there:
            return Pooled(self._segments, tuple(self._there), norms, self._n_tokens)
        means = in_order([(slots, tensors[1]) for slots, tensors in copied])
        return Pooled(self._segments, (LayerMeans(list(range(means.shape[1])), means),), norms, self._n_tokens)
