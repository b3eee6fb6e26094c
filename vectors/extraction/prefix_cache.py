"""Store the keys and values of the text before target sentences, so that it runs once for the whole search.

A vector is added from the last token before a sentence on. With causal attention nothing before that token changes, so
its keys and values are the same at every step, whichever the vector's layer. They are stored in one row of tokens for
each block, and each sentence runs over those of its own prefix, padded on the left. A step then costs sentences only.
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
from ...models.cache_argument import filled_cache
from ...models.causality import check_causal
from ...models.device_copies import uploaded
from ...models.one_pass import one_pass


@dataclass(frozen=True, eq=False, slots=True)
class PrefixCache:
    """Keys and values of every token of some texts, block by block."""

    keys: list[Float[Tensor, "n_tokens n_heads width"]]
    values: list[Float[Tensor, "n_tokens n_heads width"]]
    starts: Int[np.ndarray, " n_texts"]  # the row of each text's first token

    @classmethod
    def of(
        cls, model: LanguageModel, texts: Sequence[Int[np.ndarray, " n"]], tokens_per_batch: int, gigabytes: float
    ) -> PrefixCache | None:
        """Run `texts` and store their keys and values.

        Args:
            model: The model to run.
            texts: The token ids of each text; empty ones are allowed.
            tokens_per_batch: The size of a forward pass, padding included.
            gigabytes: The largest size of the cache.

        Returns:
            The cache; None if the model cannot continue from a cache, or if it would be larger than `gigabytes`.
        """
        check_causal(model)
        longest = max(map(len, texts))
        if not (can_continue(model) and model.takes_position_ids) or _shortest_window(model) < longest:
            return None
        lengths = [len(text) for text in texts]
        starts = np.cumsum([0, *lengths])
        keys: list[Tensor] = []
        values: list[Tensor] = []
        non_empty = [number for number, length in enumerate(lengths) if length]
        for batch in batches([lengths[number] for number in non_empty], tokens_per_batch):
            members = [non_empty[place] for place in batch]
            ids = np.zeros((len(members), max(lengths[member] for member in members)), dtype=np.int64)
            for row, member in enumerate(members):
                ids[row, : lengths[member]] = texts[member]
            cache = DynamicCache(config=model.model.config)
            with torch.no_grad(), one_pass(model):
                token_ids = uploaded(torch.from_numpy(ids), model.device)
                model.body(input_ids=token_ids, use_cache=True, **{model.cache_name: cache})
            for block, (k, v) in enumerate(_keys_and_values(cache)):
                if len(keys) == block:
                    size = 2 * len(cache.layers) * int(starts[-1]) * k[0, :, 0].numel() * k.element_size()
                    if size > gigabytes * 1e9:
                        return None
                    keys.append(k.new_empty(int(starts[-1]), k.shape[1], k.shape[3]))
                    values.append(v.new_empty(int(starts[-1]), v.shape[1], v.shape[3]))
                for row, member in enumerate(members):
                    tokens = slice(int(starts[member]), int(starts[member + 1]))
                    keys[block][tokens] = k[row, :, : lengths[member]].transpose(0, 1)
                    values[block][tokens] = v[row, :, : lengths[member]].transpose(0, 1)
        return cls(keys, values, starts[:-1])

    def gather(self, tokens: Int[np.ndarray, "rows width"]) -> Cache:
        """Make a cache whose rows hold the tokens with these row numbers; those of padding may be any."""
        places = {device: uploaded(torch.from_numpy(tokens), device) for device in {keys.device for keys in self.keys}}
        return Cache(
            layers=[_GatheredLayer(k, v, places[k.device]) for k, v in zip(self.keys, self.values, strict=True)]
        )


def texts_that_fit(model: LanguageModel, lengths: Sequence[int], gigabytes: float, seed: int) -> list[int]:
    """Choose texts at random so that the keys and values of all chosen ones fit into a cache.

    A search that has to run what does not fit at every step takes many times as long.

    Args:
        model: The model that will run them.
        lengths: The number of tokens of each text.
        gigabytes: The size of the cache.
        seed: Seed of the choice.

    Returns:
        The numbers of the chosen texts, ascending: all if they fit, and at least one.
    """
    with torch.no_grad(), one_pass(model):
        single_token = torch.zeros(1, 1, dtype=torch.long, device=model.device)
        cache = filled_cache(model.body(single_token, use_cache=True))
    tensors = [getattr(layer, name, None) for layer in getattr(cache, "layers", ()) for name in ("keys", "values")]
    bytes_per_token = max(1, sum(tensor.nbytes for tensor in tensors if isinstance(tensor, Tensor)))
    max_tokens = int(gigabytes * 1e9) // bytes_per_token
    order = np.random.default_rng(seed).permutation(len(lengths))
    n_fitting = int((np.cumsum(np.asarray(lengths)[order]) <= max_tokens).sum())
    return sorted(order[: max(n_fitting, 1)].tolist())


class _GatheredLayer(CacheLayerMixin):
    """One block's keys and values, read-only; gathered when the block asks, so never held for all blocks at once."""

    is_sliding = False

    def __init__(self, keys: Tensor, values: Tensor, token_index: Int[Tensor, "rows width"]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._keys, self._values, self._token_index = keys, values, token_index

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        raise NotImplementedError("a prefix cache is complete when it is made")

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        keys, values = (tensor[self._token_index].transpose(1, 2) for tensor in (self._keys, self._values))
        return torch.cat([keys, key_states], dim=-2), torch.cat([values, value_states], dim=-2)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self._token_index.shape[1] + query_length, 0

    def get_seq_length(self) -> int:
        return self._token_index.shape[1]

    def get_max_length(self) -> int:
        return -1


def _keys_and_values(cache: DynamicCache) -> list[tuple[Tensor, Tensor]]:
    pairs = []
    for layer in cache.layers:
        if not isinstance(layer, DynamicLayer) or layer.keys is None or layer.values is None:
            raise RuntimeError("a block kept no keys and values")
        pairs.append((layer.keys, layer.values))
    return pairs


def _shortest_window(model: LanguageModel) -> int:
    """Return the least number of tokens that any block keeps: a sliding window drops earlier ones."""
    windows = [getattr(layer, "sliding_window", None) for layer in DynamicCache(config=model.model.config).layers]
    return min((int(window) for window in windows if window), default=2**62)
