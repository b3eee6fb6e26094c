from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, T5Config, T5ForConditionalGeneration

from reasonlens.models.blocks import find_blocks
from reasonlens.rundir import InputError

from ..conftest import CONFIGS, D_MODEL, N_LAYERS


@pytest.mark.parametrize("architecture", CONFIGS)
def test_the_blocks_of_every_architecture_carry_its_residual_stream(tiny, architecture: str) -> None:
    model = tiny(architecture)
    ids = torch.tensor([[5, 6, 7, 8]])
    outputs: list[torch.Tensor] = []
    hooks = [
        block.register_forward_hook(lambda _m, _i, out: outputs.append(out[0] if isinstance(out, tuple) else out))
        for block in model.blocks
    ]
    with torch.inference_mode():
        hidden_states = model.model(ids, output_hidden_states=True).hidden_states
    for hook in hooks:
        hook.remove()
    assert (model.n_layers, model.d_model) == (N_LAYERS, D_MODEL)
    for layer in range(N_LAYERS - 1):  # the last hidden state has the final norm applied
        torch.testing.assert_close(outputs[layer], hidden_states[layer + 1], rtol=0, atol=0)


def test_an_encoder_decoder_model_is_refused() -> None:
    model = T5ForConditionalGeneration(T5Config(d_model=16, d_ff=16, num_layers=1, num_heads=2, vocab_size=50, d_kv=8))
    with pytest.raises(InputError, match="T5ForConditionalGeneration is an encoder-decoder model"):
        find_blocks(model)


def test_a_model_without_a_fitting_list_of_blocks_is_refused_with_what_was_found() -> None:
    model = LlamaForCausalLM(LlamaConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, vocab_size=50))
    model.model.layers = nn.ModuleList(list(model.model.layers)[:1])
    with pytest.raises(InputError, match=r"speaks of 2 layers.*lists found: layers \(1\)\).*blocks=<your list"):
        find_blocks(model)


def test_a_layer_out_of_range_is_named_with_the_range(tiny) -> None:
    with pytest.raises(InputError, match=r"layer 3 does not exist: tiny-llama has 3 blocks \(0\.\.2\)"):
        tiny().layer_index(3)
    assert tiny().layer_index(-1) == 2
