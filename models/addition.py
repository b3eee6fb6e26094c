"""Add a vector to the output of each block of a model, at every token, whatever code runs the model.

    h_L  <-  h_L + v_L

A model with vectors is a second tree of modules over the same weights: modules are copied, parameters and buffers are
not. In the copy the forward of a block with a vector ends in the sum, before any hook sees the output. So the model
with vectors and the one without are both right in one process, and code that knows nothing of vectors (generation,
collection, a user's own `generate`) runs them too.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from ..rundir import InputError, tensors_digest
from .adapter import refuse_adapters
from .blocks import find_blocks
from .place import first_tensor, with_first

_HELD = "reasonlens_forward"  # attribute of a block that adds a vector, also where other code wraps its forward


class Addition:
    """A vector that is added to activations, in their precision and on their device.

    A vector that is trained is read anew in each pass.
    """

    def __init__(self, vector: Float[Tensor, " d_model"], subject: str) -> None:
        """Hold a vector.

        Args:
            vector: What is added.
            subject: What to call it in a message.
        """
        self.vector = vector
        self._subject = subject
        self._cast: Tensor | None = None  # as it was last needed

    def __call__(self, activations: Float[Tensor, "rows tokens d_model"]) -> Float[Tensor, "rows tokens d_model"]:
        """Add the vector to activations.

        Raises:
            InputError: The precision of the activations cannot hold it.
        """
        return activations + self._on(activations.device, activations.dtype)

    def _on(self, device: torch.device, dtype: torch.dtype) -> Float[Tensor, " d_model"]:
        if self.vector.requires_grad:
            return self.vector.to(device, dtype)
        cast = self._cast
        if cast is None or cast.device != device or cast.dtype != dtype:
            cast = self.vector.to(device, dtype)
            if not bool(cast.isfinite().all()):
                raise InputError(f"{self._subject} is more than {dtype} can hold; give a smaller one")
            self._cast = cast
        return cast


@dataclass(frozen=True, eq=False, slots=True)
class _AddingForward:
    """The forward of a block that adds a vector to its output."""

    plain: Callable[..., Any]  # of the block itself
    addition: Addition

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        output = self.plain(*args, **kwargs)
        activations = first_tensor(output)
        if activations.ndim != 3:
            raise InputError(
                f"a block put out activations of shape {tuple(activations.shape)}, expected (batch, position, "
                "d_model): this architecture takes no vectors"
            )
        return with_first(output, self.addition(activations))


def with_additions(
    model: PreTrainedModel, vectors: Mapping[int, Float[Tensor, " d_model"]], name: str
) -> PreTrainedModel:
    """Copy the modules of a model, not its weights, and let blocks of the copy add vectors to their output.

    Args:
        model: The model, which stays as it is; what it adds already is added too.
        vectors: 0-based block -> vector, used as it is: one that requires a gradient gets it.
        name: Of the model, for messages.

    Returns:
        The model with vectors.

    Raises:
        InputError: Adapters act in the model, or it is inside of a TransformerBridge.
    """
    refuse_adapters(model, "a model with vectors")
    if any(type(module).__module__.startswith("transformer_lens.") for module in model.modules()):
        raise InputError(
            f"{name} is inside of a TransformerBridge, which takes no vectors: give them to the model that it was made "
            "from, and make the bridge then: model.with_vectors(vectors).to_bridge()"
        )
    weights = {id(tensor): tensor for tensor in chain(model.parameters(), model.buffers())}
    steered = copy.deepcopy(model, weights)
    blocks = find_blocks(steered)
    for layer, vector in vectors.items():
        block = blocks[layer]
        plain, held = block.forward, _held(block)
        if held is not None:
            plain, vector = held.plain, held.addition.vector + vector
        adding = _AddingForward(plain, Addition(vector, f"the vector of block {layer} of {name}"))
        block.forward = adding
        setattr(block, _HELD, adding)
    return steered


def without_additions(model: PreTrainedModel) -> PreTrainedModel:
    """Copy the modules of a model, not its weights, so that no block of the copy adds anything."""
    plain = copy.deepcopy(model, {id(tensor): tensor for tensor in chain(model.parameters(), model.buffers())})
    for block in find_blocks(plain):
        held = _held(block)
        if held is not None:
            block.forward = held.plain
            delattr(block, _HELD)
    return plain


def addition_in(block: nn.Module) -> Addition | None:
    """Look up what a block adds to its output; None for a block that adds nothing."""
    held = _held(block)
    return None if held is None else held.addition


def additions_of(blocks: Iterable[nn.Module]) -> dict[int, Float[Tensor, " d_model"]]:
    """List what blocks add to their output.

    Args:
        blocks: Of a model.

    Returns:
        0-based block -> vector, float32 and detached, of those that add one.
    """
    held = {layer: addition_in(block) for layer, block in enumerate(blocks)}
    return {layer: one.vector.detach().float() for layer, one in held.items() if one is not None}


def additions_digest(blocks: Iterable[nn.Module]) -> str | None:
    """Digest what blocks add to their output: another one for every other set of vectors, None where there are none.

    A vector of zeros counts as none.
    """
    vectors = {str(layer): vector.cpu().contiguous() for layer, vector in additions_of(blocks).items()}
    vectors = {layer: vector for layer, vector in vectors.items() if bool(vector.any())}
    return tensors_digest("vectors", vectors)[:16] if vectors else None


def _held(block: nn.Module) -> _AddingForward | None:
    held: _AddingForward | None = block.__dict__.get(_HELD)
    return held
