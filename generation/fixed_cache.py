"""Hold keys and values in tensors of one shape from step to step, as accelerators like it.

    room of 64 columns, all rows of the batch      | prompt | written | free |

A dynamic cache copies itself at every step, rows leave it as they end, and transformers asks the device at every pass
whether a mask is needed, for which the host waits. With a fixed cache a step writes in place, has the shapes and
addresses of the step before (so that it can become a CUDA graph later), and nothing is asked. Room is added in blocks;
rows that have ended stay until they are many. Attention reads the free columns too, masked.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer, StaticLayer

from ..models import LanguageModel

DEVICES = {"cuda"}  # where a fixed shape is worth attention over free columns
BLOCK = 64  # columns of room are added at once
FEWER = 0.75  # rows that have ended leave once this share or less goes on
ATTENTIONS = ("sdpa", "eager")  # those that are given a mask of all columns


class FixedLayer(StaticLayer):
    """The keys and values of one layer, in room for more."""

    def __init__(
        self,
        keys: Float[Tensor, "rows heads columns d_key"],
        values: Float[Tensor, "rows heads columns d_value"],
        room: int,
    ) -> None:
        """Copy keys and values into room for `room` columns."""
        super().__init__(room)
        self.n_columns = keys.shape[2]  # that are filled, known to the host; `cumulative_length` is the device's
        self.dtype, self.device = keys.dtype, keys.device
        self.batch_size, self.num_heads = keys.shape[:2]
        self.k_head_dim, self.v_head_dim = keys.shape[3], values.shape[3]
        self.keys, self.values = _with_room(keys, room), _with_room(values, room)
        self.cumulative_length = torch.full((), self.n_columns, dtype=torch.long, device=keys.device)
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Write the keys and values of new columns in place."""
        self.n_columns += key_states.shape[2]
        states: tuple[Tensor, Tensor] = super().update(key_states, value_states)
        return states

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Keep some rows, in this order."""
        keys, values = keys_and_values(self)
        rows = beam_idx.to(keys.device)
        self.keys, self.values = keys.index_select(0, rows), values.index_select(0, rows)

    def of_rows_before(self, rows: Int[Tensor, " some"], *, is_run: bool) -> FixedLayer:
        """Copy some rows as they were before the last column, whose place the next one takes.

        Args:
            rows: Which.
            is_run: Whether the copy will be read; else it has the shape only.

        Returns:
            The copy.
        """
        scratch = copy.copy(self)
        scratch.n_columns, scratch.cumulative_length = self.n_columns - 1, self.cumulative_length - 1
        for name in ("keys", "values"):
            held = getattr(self, name)
            shape = (len(rows), *held.shape[1:])
            setattr(
                scratch, name, held.index_select(0, rows.to(held.device)) if is_run else held.new_zeros(1).expand(shape)
            )
        return scratch


def _with_room(
    states: Float[Tensor, "rows heads columns d_head"], room: int
) -> Float[Tensor, "rows heads room d_head"]:
    held = states.new_zeros(*states.shape[:2], room, states.shape[3])
    held[:, :, : states.shape[2]] = states
    return held


def keys_and_values(layer: Any) -> tuple[Tensor, Tensor]:
    """Return what a layer holds."""
    assert isinstance(layer, DynamicLayer | FixedLayer) and layer.keys is not None and layer.values is not None
    return layer.keys, layer.values


def filled_columns(cache: Cache) -> int | None:
    """Count the filled columns of a cache that `make_room` made, on the host; None for any other cache."""
    first = cache.layers[0] if cache.layers else None
    return first.n_columns if isinstance(first, FixedLayer) else None


def can_be_fixed(model: LanguageModel, cache: Cache) -> bool:
    """Tell whether a model's steps can run over a fixed cache: plain attention in all blocks, on an accelerator."""
    return (
        model.device.type in DEVICES
        and model.takes_position_ids
        and getattr(model.model, "_can_compile_fullgraph", False)
        and model.model.config._attn_implementation in ATTENTIONS
        and all(type(layer) is DynamicLayer for layer in cache.layers)
    )


def make_room(cache: Cache, n_columns: int) -> int:
    """Turn the layers of a cache into fixed ones, or give fixed ones more room, for `n_columns` and some more.

    Args:
        cache: It stays the same object.
        n_columns: That are needed.

    Returns:
        The room, in columns.
    """
    room = -(-n_columns // BLOCK) * BLOCK
    for number, layer in enumerate(cache.layers):
        keys, values = keys_and_values(layer)
        held = layer.n_columns if isinstance(layer, FixedLayer) else keys.shape[2]
        cache.layers[number] = FixedLayer(keys[:, :, :held], values[:, :, :held], room)
    return room
