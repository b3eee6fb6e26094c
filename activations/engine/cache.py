"""Share one KV cache between many rows: each row continues a prefix that was run once.

The keys and values of a prefix are copied to its rows one layer at a time, when the layer asks for them, so that they
are never in memory for all rows and all layers at once.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import Cache, DynamicCache
from transformers.cache_utils import CacheLayerMixin, DynamicLayer, DynamicSlidingWindowLayer

from ...models import LanguageModel


class _SharedLayer(CacheLayerMixin):
    """One block's keys and values of the prefixes, read-only."""

    def __init__(self, prefix: DynamicLayer, rows: Int[Tensor, " n_rows"]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._prefix, self._rows = prefix, rows
        self.is_sliding = prefix.is_sliding

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        raise NotImplementedError("a shared prefix is complete when it is made")

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        rows = self._rows.to(key_states.device)
        keys, values = self._prefix.keys, self._prefix.values
        if keys is None or values is None:
            raise RuntimeError("a shared prefix was continued before it was run")
        return torch.cat([keys[rows], key_states], dim=-2), torch.cat([values[rows], value_states], dim=-2)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        sizes: tuple[int, int] = self._prefix.get_mask_sizes(query_length)
        return sizes

    def get_seq_length(self) -> int:
        return int(self._prefix.get_seq_length())

    def get_max_length(self) -> int:
        return int(self._prefix.get_max_length())


def shared_cache(prefix: DynamicCache, rows: Int[Tensor, " n_rows"]) -> Cache:
    """Make a cache in which row i continues row `rows[i]` of `prefix`."""
    return Cache(layers=[_SharedLayer(layer, rows) for layer in prefix.layers if isinstance(layer, DynamicLayer)])


def rotary_limit(model: LanguageModel) -> int | None:
    """Return the length beyond which rotary frequencies depend on the longest text of a pass (longrope, dynamic NTK).

    None for models without such a rule. Longer texts have to be run alone and in one piece.
    """
    config = model.model.config.get_text_config(decoder=True)
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    if rope.get("rope_type", rope.get("type")) not in ("longrope", "dynamic"):
        return None
    original = rope.get("original_max_position_embeddings") or getattr(config, "original_max_position_embeddings", None)
    return int(original or config.max_position_embeddings)


def can_continue(model: LanguageModel) -> bool:
    """Check whether texts can be run in parts: the body takes a cache, and it is one of keys and values."""
    if rotary_limit(model) is not None or not model.takes_cache:
        return False
    layers = DynamicCache(config=model.model.config).layers
    return all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers)
