"""Models with a vision or audio tower as deep as their decoder: the blocks are those of the decoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import (
    CLIPVisionConfig,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedModel,
    Qwen2AudioConfig,
    Qwen2AudioForConditionalGeneration,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
)

from reasonlens import collect
from reasonlens.models import load

N_LAYERS = 3
TEXT: dict[str, Any] = {
    "vocab_size": 400,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": N_LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
}
VISION: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": N_LAYERS,
    "num_attention_heads": 4,
    "image_size": 28,
    "patch_size": 14,
}


def _llava() -> PreTrainedModel:
    text, vision = LlamaConfig(**TEXT), CLIPVisionConfig(**VISION)
    return LlavaForConditionalGeneration(LlavaConfig(text_config=text, vision_config=vision, image_token_index=399))


def _gemma3() -> PreTrainedModel:
    text = TEXT | {"head_dim": 8, "model_type": "gemma3_text"}
    vision = VISION | {"model_type": "siglip_vision_model"}
    config = Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4, image_token_index=399)
    return Gemma3ForConditionalGeneration(config)


def _qwen2_vl() -> PreTrainedModel:
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}
    vision = {"depth": N_LAYERS, "embed_dim": 32, "hidden_size": 32, "num_heads": 4}
    config = Qwen2VLConfig(text_config=TEXT | {"rope_parameters": rope}, vision_config=vision)
    return Qwen2VLForConditionalGeneration(config)


def _qwen2_audio() -> PreTrainedModel:
    audio = {"model_type": "qwen2_audio_encoder", "encoder_layers": N_LAYERS, "d_model": 32, "encoder_ffn_dim": 48}
    audio |= {"encoder_attention_heads": 4, "num_mel_bins": 8, "max_source_positions": 32}
    config = Qwen2AudioConfig(text_config=TEXT | {"model_type": "qwen2"}, audio_config=audio)
    return Qwen2AudioForConditionalGeneration(config)


MODELS: dict[str, Callable[[], PreTrainedModel]] = {
    "llava": _llava,
    "gemma3": _gemma3,
    "qwen2-vl": _qwen2_vl,
    "qwen2-audio": _qwen2_audio,
}


@pytest.mark.parametrize("name", MODELS)
def test_the_blocks_are_those_of_the_decoder_and_carry_its_residual_stream(name: str, tokenizer, traces) -> None:
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    handle = load(model, tokenizer)
    decoder: Any = model.get_decoder()
    assert handle.blocks is decoder.layers and (handle.n_layers, handle.d_model) == (N_LAYERS, 32)
    ids = torch.tensor([tokenizer("Wait, that was wrong.")["input_ids"]])
    with torch.no_grad():
        expected = model(input_ids=ids, output_hidden_states=True).hidden_states
    outputs: list[torch.Tensor] = []
    hook = handle.blocks[1].register_forward_hook(lambda _m, _i, o: outputs.append(o[0] if isinstance(o, tuple) else o))
    with torch.no_grad():
        handle.body(input_ids=ids)
    hook.remove()
    torch.testing.assert_close(outputs[0], expected[2], rtol=0, atol=0)
    values = collect(handle, traces[:2], progress=False).values
    assert values.shape[1:] == (N_LAYERS, 32) and bool(torch.isfinite(values).all()) and float(values.abs().max()) > 0
