"""Prompts of different lengths in one padded batch, and a direction with a known norm."""

from __future__ import annotations

import pytest
import torch
from jaxtyping import Int
from torch import Tensor

from reasonlens.vectors import Direction

PROMPTS = [[7, 8, 9, 10, 11, 12], [20, 21, 22], [30, 31, 32, 33]]
N_PROMPT = [len(prompt) for prompt in PROMPTS]


@pytest.fixture
def direction() -> Direction:
    generator = torch.Generator().manual_seed(1)
    return Direction.of(torch.randn(3, 32, generator=generator), layers=[0, 1, 2], residual_norm=4.0)


def padded(side: str) -> dict[str, Int[Tensor, "rows columns"]]:
    """The batch, padded on the left or on the right."""
    width = max(N_PROMPT)
    ids, mask = torch.ones(3, width, dtype=torch.long), torch.zeros(3, width, dtype=torch.long)
    for row, prompt in enumerate(PROMPTS):
        place = slice(width - len(prompt), width) if side == "left" else slice(0, len(prompt))
        ids[row, place], mask[row, place] = torch.tensor(prompt), 1
    return {"input_ids": ids, "attention_mask": mask}
