"""Store checkpoints of a training run as their difference to the base, in 8 bits with one scale for each row.

A difference is a fraction of a weight, so 8 bits of it are about as exact as the 16 bits of the finished models.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedModel

from ..rundir import atomic_path


def save_difference(base: PreTrainedModel, model: PreTrainedModel, target: Path) -> None:
    """Write the difference between `model` and `base`."""
    tensors: dict[str, Tensor] = {}
    before = dict(base.named_parameters())
    for name, weight in model.named_parameters():
        difference = (weight - before[name]).detach().reshape(len(weight), -1)
        scale = (difference.abs().amax(1) / 127).clamp_min(torch.finfo(torch.float32).tiny)
        tensors[f"{name}.steps"] = (difference / scale[:, None]).round().to(torch.int8).reshape(weight.shape)
        tensors[f"{name}.scale"] = scale
    with atomic_path(target) as path:
        save_file(tensors, path)


def add_difference(model: PreTrainedModel, source: Path) -> None:
    """Add a difference to the base, in place, which makes it the checkpoint."""
    tensors = load_file(source)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            scale = tensors[f"{name}.scale"].reshape(-1, *[1] * (weight.ndim - 1))
            difference = tensors[f"{name}.steps"].float() * scale
            weight.copy_(weight.float() + difference.to(weight.device))
