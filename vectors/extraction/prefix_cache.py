"""What stands before target sentences, run once for the whole search.

A vector is added from the last token before a sentence on, and with causal attention nothing before it changes: keys
and values there are the same at every step, whichever the vector's layer. They are kept in one row of tokens for each
block, and each sentence is run over those of its own prefix, padded on the left. A step costs sentences and not texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import Cache, DynamicCache
from transformers.cache_utils import CacheLayerMixin, DynamicLayer

from ...activations.engine.batching import batches
from ...activations.engine.cache import can_continue
from ...models import LanguageModel


@dataclass(frozen=True, eq=False, slots=True)
class PrefixCache:
    """Keys and values of every token of some texts, block by block."""

    keys: list[Float[Tensor, "n_tokens n_heads width"]]
    values: list[Float[Tensor, "n_tokens n_heads width"]]
    starts: Int[np.ndarray, " n_texts"]  # where each text begins in them

    @classmethod
    def of(
        cls, model: LanguageModel, texts: Sequence[Int[np.ndarray, " n"]], tokens_per_batch: int, gigabytes: float
    ) -> PrefixCache | None:
        """Of these texts; None for a model that cannot go on from a cache, and where it would be larger than that."""
        longest = max(map(len, texts))
        if not (can_continue(model) and model.takes_position_ids) or _narrowest(model) < longest:
            return None
        lengths = [len(text) for text in texts]
        starts = np.cumsum([0, *lengths])
        keys: list[Tensor] = []
        values: list[Tensor] = []
        wanted = [number for number, length in enumerate(lengths) if length]
        for part in batches([lengths[number] for number in wanted], tokens_per_batch):
            members = [wanted[each] for each in part]
            ids = np.zeros((len(members), max(lengths[member] for member in members)), dtype=np.int64)
            for row, member in enumerate(members):
                ids[row, : lengths[member]] = texts[member]
            cache = DynamicCache(config=model.model.config)
            with torch.no_grad():
                model.body(input_ids=torch.from_numpy(ids).to(model.device), past_key_values=cache, use_cache=True)
            for block, (k, v) in enumerate(_held(cache)):
                if len(keys) == block:
                    size = 2 * len(cache.layers) * int(starts[-1]) * k[0, :, 0].numel() * k.element_size()
                    if size > gigabytes * 1e9:
                        return None
                    keys.append(k.new_empty(int(starts[-1]), k.shape[1], k.shape[3]))
                    values.append(v.new_empty(int(starts[-1]), v.shape[1], v.shape[3]))
                for row, member in enumerate(members):
                    here = slice(int(starts[member]), int(starts[member + 1]))
                    keys[block][here] = k[row, :, : lengths[member]].transpose(0, 1)
                    values[block][here] = v[row, :, : lengths[member]].transpose(0, 1)
        return cls(keys, values, starts[:-1])

    def over(self, tokens: Int[np.ndarray, "rows width"]) -> Cache:
        """A cache of which each row holds `tokens`, by their place; those of padding are any."""
        places = torch.from_numpy(tokens)
        return Cache(layers=[_Gathered(k, v, places) for k, v in zip(self.keys, self.values, strict=True)])


def with_room(model: LanguageModel, lengths: Sequence[int], gigabytes: float, seed: int) -> list[int]:
    """The texts of these lengths, in order, whose keys and values fit: all, or as many as do, drawn by `seed`.

    At least one. A search that has to run what does not fit with every step takes many times as long.
    """
    with torch.no_grad():
        one = torch.zeros(1, 1, dtype=torch.long, device=model.device)
        cache = getattr(model.body(one, use_cache=True), "past_key_values", None)
    held = [getattr(layer, name, None) for layer in getattr(cache, "layers", ()) for name in ("keys", "values")]
    room = int(gigabytes * 1e9) // max(1, sum(each.nbytes for each in held if isinstance(each, Tensor)))
    order = np.random.default_rng(seed).permutation(len(lengths))
    n_fitting = int((np.cumsum(np.asarray(lengths)[order]) <= room).sum())
    return sorted(order[: max(n_fitting, 1)].tolist())


class _Gathered(CacheLayerMixin):
    """Read by many rows and written by none; gathered when the block asks, and never held for all blocks together."""

    is_sliding = False

    def __init__(self, keys: Tensor, values: Tensor, places: Int[Tensor, "rows width"]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._keys, self._values, self._places = keys, values, places

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        raise NotImplementedError("kept prefixes are complete when they are made")

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        places = self._places.to(self._keys.device)
        before, values = (each[places].transpose(1, 2) for each in (self._keys, self._values))
        return torch.cat([before, key_states], dim=-2), torch.cat([values, value_states], dim=-2)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self._places.shape[1] + query_length, 0

    def get_seq_length(self) -> int:
        return self._places.shape[1]

    def get_max_length(self) -> int:
        return -1


def _held(cache: DynamicCache) -> list[tuple[Tensor, Tensor]]:
    found = []
    for layer in cache.layers:
        if not isinstance(layer, DynamicLayer) or layer.keys is None or layer.values is None:
            raise RuntimeError("a block kept no keys and values")
        found.append((layer.keys, layer.values))
    return found


def _narrowest(model: LanguageModel) -> int:
    """The least number of tokens that any block keeps: a sliding window forgets those before."""
    windows = [getattr(layer, "sliding_window", None) for layer in DynamicCache(config=model.model.config).layers]
    return min((int(window) for window in windows if window), default=2**62)
