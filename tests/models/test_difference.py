"""A checkpoint kept as an 8-bit difference to another model."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from reasonlens.models.difference import add_difference, save_difference


def test_the_difference_comes_back_to_half_a_step_of_its_row_and_takes_a_byte_a_weight(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50, hidden_size=64, intermediate_size=256, num_hidden_layers=2, num_attention_heads=2
    )
    base = LlamaForCausalLM(config)
    later = copy.deepcopy(base)
    with torch.no_grad():
        for weight in later.parameters():
            weight += 0.01 * torch.randn_like(weight)
        still = base.model.layers[0].mlp.up_proj.weight
        later.model.layers[0].mlp.up_proj.weight.copy_(still)
    save_difference(base, later, tmp_path / "step.safetensors")
    again = copy.deepcopy(base)
    add_difference(again, tmp_path / "step.safetensors")
    for (name, weight), (_, wanted), (_, before) in zip(
        again.named_parameters(), later.named_parameters(), base.named_parameters(), strict=True
    ):
        moved = (wanted - before).reshape(len(wanted), -1).abs().amax(1) / 127
        error = (weight - wanted).reshape(len(wanted), -1).abs().amax(1)
        assert bool((error <= 0.51 * moved + 1e-7).all()), name
    n_weights = sum(weight.numel() for weight in base.parameters())
    assert (tmp_path / "step.safetensors").stat().st_size < 1.3 * n_weights
