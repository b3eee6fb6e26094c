"""The blocks above a layer, run again for the last token of some rows with another residual stream.

A steered step changes the output of block L at one token. Everything below L and every earlier token stays as it was,
so only the blocks above L run again, for the gated rows alone, on a scratch copy of their keys and values: what the
cache held before the token. The model's own cache keeps the unsteered state. The blocks up to L hand the new residual
stream through, so that the model's own code runs the rest, whatever its architecture.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from ..models import LanguageModel
from ..models.blocks import block_output


class Above:
    """Sees the output of block `layer` as the model runs, and can run the rest again from another one."""

    def __init__(self, model: LanguageModel, layer: int) -> None:
        self.model, self.layer = model, model.layer_index(layer)
        self.acts: Tensor | None = None  # (rows, tokens, d_model), of the last pass
        self._is_tuple = False
        self._before: list[Any] = []

    @contextmanager
    def watching(self) -> Iterator[Above]:
        """While it holds, every forward pass leaves the output of the block in `acts`."""
        hook = self.model.blocks[self.layer].register_forward_hook(self._see)
        try:
            yield self
        finally:
            hook.remove()
            self.acts = None

    def _see(self, module: nn.Module, args: object, output: Any) -> None:
        self._is_tuple = isinstance(output, tuple)
        self.acts = block_output(output)

    def remember(self, cache: DynamicCache) -> None:
        """Keep what the cache holds before a step. Nothing is copied: a step makes new tensors.

        A plain layer still holds after the step all that it held before; only others (sliding windows) are kept.
        """
        self._before = [None if type(layer) is DynamicLayer else copy.copy(layer) for layer in cache.layers]

    @torch.inference_mode()
    def logits(
        self,
        acts: Float[Tensor, "rows d_model"],
        rows: Int[Tensor, " rows"],
        cache: DynamicCache,
        given: dict[str, Any],
        ids: Int[Tensor, "all_rows 1"],
    ) -> Float[Tensor, "rows vocabulary"]:
        """Of the next token, had the block put out `acts` for these rows (by their place in the batch).

        cache, given, ids: of the pass that has just run, after `remember`.
        """
        scratch = copy.copy(cache)
        scratch.layers = [
            self._rows_of(layer, before, rows, number)
            for number, (layer, before) in enumerate(zip(cache.layers, self._before, strict=True))
        ]
        some = {
            name: value[rows] if isinstance(value, Tensor) and len(value) == len(ids) else value
            for name, value in given.items()
        }
        seen, self.acts = self.acts, None
        with self.handing_through(acts[:, None]):
            output = self.model.model(ids[rows], **{**some, "past_key_values": scratch})
        self.acts = seen
        found: Tensor = output.logits[:, -1].float()
        return found

    def _rows_of(self, layer: Any, before: Any | None, rows: Int[Tensor, " rows"], number: int) -> Any:
        """One layer's keys and values before the step, for some rows; of layers that do not run, only the shape."""
        if before is None:
            found = DynamicLayer()
            found.lazy_initialization(layer.keys, layer.values)
            found.keys, found.values = layer.keys[:, :, :-1], layer.values[:, :, :-1]
        else:
            found = copy.copy(before)
        for name in ("keys", "values"):
            held = getattr(found, name, None)
            if not isinstance(held, Tensor) or held.numel() == 0:
                continue
            runs = number > self.layer
            few = held.index_select(0, rows) if runs else held.new_zeros(1).expand(len(rows), *held.shape[1:])
            setattr(found, name, few)
        return found

    @contextmanager
    def handing_through(self, acts: Float[Tensor, "rows 1 d_model"]) -> Iterator[None]:
        def replaced(hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:
            return (acts,) if self._is_tuple else acts

        with ExitStack() as patched:
            for block in self.model.blocks[: self.layer + 1]:
                patched.callback(_restore, block, block.__dict__.get("forward"))
                block.forward = replaced
            yield


def _restore(block: nn.Module, forward: Any | None) -> None:
    """The forward that a block had of its own (accelerate gives it one), or its class's."""
    if forward is None:
        del block.__dict__["forward"]
    else:
        block.forward = forward
