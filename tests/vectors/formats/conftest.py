"""Directions of two behaviours in a model of five blocks, and what the tests of several formats share."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from reasonlens import Directions

WIDTH = 8


def make_directions(layers: tuple[int, ...] = (1, 2, 3), width: int = WIDTH) -> Directions:
    generator = torch.Generator().manual_seed(3)
    names = ("backtracking", "deduction")
    return Directions(
        vectors={name: torch.randn(len(layers), width, generator=generator) for name in names},
        layers=layers,
        method="planted",
        model={"name": "some/model", "architecture": "LlamaForCausalLM", "n_layers": 5, "d_model": width},
        read="mean",
        residual_norm=tuple(3.0 + layer for layer in layers),
        n_examples={"backtracking": 7, "deduction": 9},
        n_problems=4,
        scores={"backtracking": {"auroc": [0.5 + 0.1 * layer for layer in layers]}},
    )


def with_unknown_origin(directions: Directions) -> Directions:
    return replace(directions, model={})


@pytest.fixture
def directions() -> Directions:
    return make_directions()
