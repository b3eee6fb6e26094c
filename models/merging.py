"""Prepare a base for the merging of an adapter into its weights.

A weight that two modules share (the embedding and a tied head, blocks that `layer_replication` repeats) is changed for
both when one of them is merged, though the adapter acts in one alone. Such a weight is copied first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn


def can_be_merged(model: nn.Module) -> bool:
    """Check that the base has a place for every part of its adapters.

    Args:
        model: The base, which holds the adapters' modules.

    Returns:
        False if an adapter has a bias where the base has none, or where a weight that is shared has been offloaded.
    """
    has_place = all(
        getattr(base, "bias", None) is not None
        for module, base in _adapted_modules(model)
        if any((getattr(module, "lora_bias", None) or {}).values())
    )
    shared = [getattr(base, name) for base, name in _shared_weights(model)]
    return has_place and all(weight.device.type != "meta" for weight in shared)


def separate_shared_weights(model: nn.Module) -> None:
    """Give each adapted module a copy of those of its weights that another module uses as well, in place."""
    for base, name in _shared_weights(model):
        weight = getattr(base, name)
        setattr(base, name, nn.Parameter(weight.detach().clone(), requires_grad=weight.requires_grad))


def _shared_weights(model: nn.Module) -> list[tuple[nn.Module, str]]:
    """List the weights of adapted modules that another module has too, by module and name."""
    users = Counter(_memory(weight) for module in model.modules() for weight in module.parameters(recurse=False))
    return [
        (base, name)
        for _, base in _adapted_modules(model)
        for name, weight in base.named_parameters(recurse=False)
        if users[_memory(weight)] > 1
    ]


def _adapted_modules(model: nn.Module) -> Iterator[tuple[Any, nn.Module]]:
    """Yield each of peft's layers that holds an adapter, with the base's module inside it."""
    for module in model.modules():
        layer: Any = module
        if hasattr(layer, "get_base_layer") and hasattr(layer, "base_layer"):
            yield layer, layer.get_base_layer()


def _memory(weight: torch.Tensor) -> int:
    return weight.data_ptr() or id(weight)  # weights on the meta device have no address
