"""Run the blocks above a layer again, for the last token of some rows, from another residual stream.

A steered step changes the output of block L at one token. Everything below L and every earlier token stays as it was,
so only the blocks above L run again, for the steered rows alone, on a scratch copy of their keys and values: what the
cache held before the token. The model's own cache keeps the unsteered state. The blocks up to L hand the new residual
stream through, so that the model's own code runs the rest, whatever its architecture.

Where the token came with others in one pass (a prompt), or the cache holds more than keys and values, the whole text is
run again instead.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import get_ident
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers.cache_utils import Cache, DynamicLayer, DynamicSlidingWindowLayer

from ..models import LanguageModel
from ..models.blocks import block_output
from ..models.one_pass import one_pass
from .fixed_cache import FixedLayer


class UpperBlocks:
    """The blocks above a layer. Shows the output of the layer as the model runs, and runs the rest from another one."""

    def __init__(self, model: LanguageModel, layer: int) -> None:
        self.model, self.layer = model, model.layer_index(layer)
        self.activations: Float[Tensor, "rows tokens d_model"] | None = None  # of the last pass
        self._is_tuple = False
        self._before: list[Any] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Leave the output of the block in `activations` at the one forward pass within the context.

        Yields:
            Nothing.

        Raises:
            InputError: The block did not run.
        """
        with one_pass(self.model, {self.layer: self._see}):
            yield

    def _see(self, module: nn.Module, args: object, output: Any) -> None:
        self._is_tuple = isinstance(output, tuple)
        self.activations = block_output(output)

    def fits(self, cache: Cache) -> bool:
        """Tell whether `logits` can run over this cache: all of its layers hold keys and values, and nothing else."""
        return all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer, FixedLayer) for layer in cache.layers)

    def remember(self, cache: Cache) -> None:
        """Keep what the cache holds before a step. Nothing is copied: a step makes new tensors.

        A plain or fixed layer still holds after the step all that it held before; only sliding windows are kept.
        """
        self._before = [
            copy.copy(layer) if type(layer) is DynamicSlidingWindowLayer else None for layer in cache.layers
        ]

    def logits(
        self,
        activations: Float[Tensor, "some d_model"],
        rows: Int[Tensor, " some"],
        cache: Cache,
        ids: Int[Tensor, "some 1"],
        inputs: dict[str, Any],
    ) -> Float[Tensor, "some vocabulary"]:
        """Compute the next token's logits after a cached step, had the block put out something else.

        Args:
            activations: Output of the block at the last token.
            rows: Which rows of the cache these are.
            cache: Of the step that has just run, after `remember`.
            ids: The last token of these rows.
            inputs: What the step was given besides, of these rows.

        Returns:
            float32.
        """
        scratch = copy.copy(cache)
        scratch.layers = [
            self._rows_of(layer, before, rows, number)
            for number, (layer, before) in enumerate(zip(cache.layers, self._before, strict=True))
        ]
        with self.handing_through(activations[:, None]):
            output = self.model.model(ids, use_cache=True, **{self.model.cache_name: scratch}, **inputs)
        logits: Tensor = output.logits[:, -1].float()
        return logits

    def logits_of_whole(
        self, activations: Float[Tensor, "some d_model"], ids: Int[Tensor, "some tokens"], inputs: dict[str, Any]
    ) -> Float[Tensor, "some vocabulary"]:
        """Compute the next token's logits from the whole text, the output of the block replaced at its last token.

        Args:
            activations: Output of the block at the last token.
            ids: The whole text of each row, padded on the left.
            inputs: What a pass over it is given besides.

        Returns:
            float32.
        """

        def replace_last(module: nn.Module, args: object, output: Any) -> Any:
            hidden = block_output(output).clone()
            hidden[:, -1] = activations
            return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

        with one_pass(self.model, {self.layer: replace_last}):
            output = self.model.model(ids, use_cache=False, **inputs)
        logits: Tensor = output.logits[:, -1].float()
        return logits

    def _rows_of(self, layer: Any, before: Any | None, rows: Int[Tensor, " some"], number: int) -> Any:
        """Select one layer's keys and values before the step; of layers that do not run, the shape only."""
        if isinstance(layer, FixedLayer):
            return layer.of_rows_before(rows, is_run=number > self.layer)
        if before is None:
            scratch = DynamicLayer()
            scratch.lazy_initialization(layer.keys, layer.values)
            scratch.keys, scratch.values = layer.keys[:, :, :-1], layer.values[:, :, :-1]
        else:
            scratch = copy.copy(before)
        for name in ("keys", "values"):
            held = getattr(scratch, name, None)
            if not isinstance(held, Tensor) or held.numel() == 0:
                continue
            runs = number > self.layer
            shape_only = held.new_zeros(1).expand(len(rows), *held.shape[1:])
            setattr(scratch, name, held.index_select(0, rows.to(held.device)) if runs else shape_only)
        return scratch

    @contextmanager
    def handing_through(self, activations: Float[Tensor, "some 1 d_model"]) -> Iterator[None]:
        """Let the blocks up to the layer run nothing and put out `activations` within the context."""

        thread = get_ident()

        def hand_through(plain: Callable[..., Any]) -> Callable[..., Any]:
            def forward(*args: Any, **kwargs: Any) -> Any:
                if get_ident() != thread:
                    return plain(*args, **kwargs)
                return (activations,) if self._is_tuple else activations

            return forward

        with one_pass(self.model), ExitStack() as patched:
            for block in self.model.blocks[: self.layer + 1]:
                patched.callback(_restore, block, block.__dict__.get("forward"))
                block.forward = hand_through(block.forward)
            yield


def _restore(block: nn.Module, forward: Any | None) -> None:
    """Give a block back the forward that it had of its own (accelerate gives it one), or its class's."""
    if forward is None:
        del block.__dict__["forward"]
    else:
        block.forward = forward
