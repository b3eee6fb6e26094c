"""Remember the prompts of texts from one forward pass to the next, and tell passes that hold more or less than one."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers.cache_utils import Cache


@dataclass(eq=False)
class CacheState:
    """What is known of the prompts in one cache, and of the ends of its rows."""

    n_columns: int  # of the prompts, padding included
    n_prompt: Int[Tensor, " rows"]
    all_real: Bool[Tensor, ""]  # whether the prompts have no padding
    has_ended: Bool[Tensor, " rows"]
    rows: Int[Tensor, " rows"] | None = None  # the row of the first pass of each row; None: its own
    last_keys: Float[Tensor, rows * shape] | None = None  # that the last pass left in the last layer
    marked: dict[object, Int[Tensor, " rows"]] = field(default_factory=dict)  # of `Step.since`
    n_run: int = 0  # columns that were run so far, for a cache that counts none
    _is_padded: bool | None = None  # looked up once: it makes the host wait for an accelerator

    @property
    def is_padded(self) -> bool:
        """Whether the prompts have padding."""
        if self._is_padded is None:
            self._is_padded = not bool(self.all_real)
        return self._is_padded

    @classmethod
    def of(cls, n_columns: int, n_prompt: Int[Tensor, " rows"], all_real: Bool[Tensor, ""]) -> CacheState:
        """Start with the prompts of a first pass."""
        return cls(n_columns, n_prompt, all_real, torch.zeros_like(n_prompt, dtype=torch.bool))


@dataclass(eq=False, slots=True)
class Uncached:
    """The last pass of a text without a cache."""

    inputs: Tensor  # ids or embeddings
    text: object | None  # that `generation` runs them as
    state: CacheState


def has_guesses(arguments: dict[str, Any]) -> bool:
    """Tell whether logits of several last tokens are asked for: those of an assistant's guesses after the prompt."""
    n_logits = arguments.get("logits_to_keep")
    return isinstance(n_logits, int) and n_logits > 1


def is_part_of_prompt() -> bool:
    """Tell whether `generate` is running a prompt in parts (prefill_chunk_size), which a part does not show itself."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code.co_name == "_prefill" and "input_chunks" in frame.f_locals:
            return len(frame.f_locals["input_chunks"]) > 1
    return False


def last_keys_of(cache: Cache, n_columns: int) -> Float[Tensor, rows * shape] | None:
    """Return the keys of the last column in the last layer that has any: they depend on the whole text of their row."""
    for layer in reversed(cache.layers):
        keys = getattr(layer, "keys", None)
        if isinstance(keys, Tensor) and keys.ndim == 4 and keys.shape[2]:
            return keys[:, :, min(n_columns, keys.shape[2]) - 1]
    return None
