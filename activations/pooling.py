"""Averages of residual-stream activations over chosen positions, taken inside the forward pass.

1. Every segment (a set of positions of one text) is laid out beforehand as flat indices into (batch x position).
2. A hook on each wanted block gathers and averages them in one pass (embedding_bag) into a float32 buffer, so that no
   layer's activations outlive its block.
3. The body alone is run, and the last hook stops it: neither later blocks nor the head cost anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from ..models import LanguageModel


@dataclass(frozen=True, slots=True)
class Segment:
    """Positions of one text of a batch whose activations are averaged together."""

    row: int
    positions: np.ndarray[Any, np.dtype[np.int64]]


class _LastLayerRead(Exception):
    """Stops a forward pass once all that was wanted has been read."""


def block_output(output: Any) -> Float[Tensor, "batch position d_model"]:
    """The residual stream in what a block returns, which some architectures wrap into a tuple."""
    hidden = output[0] if isinstance(output, tuple) else output
    if not isinstance(hidden, Tensor):
        raise TypeError(f"a decoder block returned {type(hidden).__name__}, expected a tensor or a tuple of tensors")
    return hidden


def pooled(
    model: LanguageModel,
    texts: Sequence[np.ndarray[Any, np.dtype[np.int64]]],
    segments: Sequence[Segment],
    layers: Sequence[int],
    *,
    padding_side: Literal["left", "right"] = "right",
) -> tuple[Float[Tensor, "n_segments n_layers d_model"], Float[Tensor, "n_segments n_layers"]]:
    """For one batch of token id sequences: the mean activation of each segment, and the mean norm in it, per layer.

    float32 on the CPU whatever the model's dtype. `layers` are 0-based and ascending.
    """
    width = max(len(text) for text in texts)
    token_ids = torch.zeros(len(texts), width, dtype=torch.long)
    attention_mask = torch.zeros(len(texts), width, dtype=torch.long)
    shifts = []  # where each text begins in its padded row
    for row, text in enumerate(texts):
        shift = width - len(text) if padding_side == "left" else 0
        token_ids[row, shift : shift + len(text)] = torch.from_numpy(text)
        attention_mask[row, shift : shift + len(text)] = 1
        shifts.append(shift)
    flat = np.concatenate([segment.row * width + shifts[segment.row] + segment.positions for segment in segments])
    lengths = torch.tensor([len(segment.positions) for segment in segments])
    indices, offsets = torch.from_numpy(flat), torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)[:-1]])

    means: dict[int, Tensor] = {}
    norms: dict[int, Tensor] = {}

    def reader(layer: int) -> Callable[[nn.Module, Any, Any], None]:
        def read(_module: nn.Module, _inputs: Any, output: Any) -> None:
            rows = block_output(output).flatten(0, 1).float()  # (batch * position, d_model)
            bags = indices.to(rows.device), offsets.to(rows.device)
            means[layer] = embedding_bag(bags[0], rows, bags[1], mode="mean")  # (segment, d_model)
            norms[layer] = embedding_bag(bags[0], rows.norm(dim=-1, keepdim=True), bags[1], mode="mean").squeeze(-1)
            if layer == layers[-1]:
                raise _LastLayerRead

        return read

    arguments: dict[str, Tensor] = {
        "input_ids": token_ids.to(model.device),
        "attention_mask": attention_mask.to(model.device),
    }
    if model.takes_position_ids:
        arguments["position_ids"] = (attention_mask.cumsum(dim=1) - 1).clamp(min=0).to(model.device)
    with ExitStack() as hooks, torch.inference_mode():
        for layer in layers:
            hooks.callback(model.blocks[layer].register_forward_hook(reader(layer)).remove)
        try:
            model.body(**arguments, use_cache=False)
        except _LastLayerRead:
            pass
    return (
        torch.stack([means[layer].cpu() for layer in layers], dim=1),
        torch.stack([norms[layer].cpu() for layer in layers], dim=1),
    )
