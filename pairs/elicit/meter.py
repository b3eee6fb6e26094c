"""Measure the floating-point operations of whatever runs, by watching blocks and output layers as they run.

    FLOPs  =  2 x weights x positions of each pass, twice where a gradient goes back through its activations

It counts what a preparation needs that is made of many parts (searches, descents of vectors), padding included; weights
are not trained in these. The watch is set on no module of its own, so models run as they do without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from ...models import LanguageModel
from ...models.place import first_tensor


class Meter:
    """Adds up operations while `watching` some models."""

    def __init__(self) -> None:
        self.flops = 0.0

    @contextmanager
    def watching(self, models: Sequence[LanguageModel]) -> Iterator[Meter]:
        """Count every pass through blocks and output layers of the models, and of copies of them.

        Args:
            models: What may run; blocks are known by their class, output layers by their width.

        Yields:
            The meter.
        """
        blocks = tuple({type(block) for model in models for block in model.blocks})
        heads = {tuple(head.weight.shape) for model in models if (head := model.model.get_output_embeddings())}

        def count(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            is_head = isinstance(module, nn.Linear) and tuple(module.weight.shape) in heads
            if not (is_head or isinstance(module, blocks)):
                return
            activations: Tensor = first_tensor(output)
            positions = activations.numel() // activations.shape[-1]
            weights = sum(weight.numel() for weight in module.parameters())
            n_ways = 2 if torch.is_grad_enabled() and activations.requires_grad else 1
            self.flops += 2.0 * weights * positions * n_ways

        handle = register_module_forward_hook(count)
        try:
            yield self
        finally:
            handle.remove()
