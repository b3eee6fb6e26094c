"""What a GGUF file says besides its weights reaches the model, or the file is refused with what would be lost."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    LlamaConfig,
    Phi3Config,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen3Config,
    StableLmConfig,
    Starcoder2Config,
)

from reasonlens.models import load
from reasonlens.rundir import InputError

from ..conftest import VOCABULARY
from .gguf_files import Settings, write_gguf

SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
THETA = 5e5
LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
FACTORS = [1.0, 1.5, 6.0, 8.0]
LONG, SHORT = [1.0, 2.0, 5.0, 9.0], [1.0, 1.1, 1.5, 2.0]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REASONLENS_CACHE", str(tmp_path / "cache"))


def _model(config: PreTrainedConfig) -> PreTrainedModel:
    torch.manual_seed(0)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.normal_(std=0.3)
            if name.endswith("norm.weight"):
                weight += 1
    return model


def _logits(model: PreTrainedModel, start: int = 0, n: int = 200) -> Tensor:
    ids = torch.randint(VOCABULARY, (1, n), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits: Tensor = model(ids, position_ids=torch.arange(start, start + n)[None]).logits
    return logits


def _rope(kind: str, **parameters: Any) -> LlamaConfig:
    return LlamaConfig(**SIZES, rope_parameters={"rope_type": kind, "rope_theta": THETA, **parameters})


def _llama3_factors(factor: float) -> Tensor:
    turned = _model(_rope("llama3", factor=factor, **LLAMA3)).model.rotary_emb.inv_freq
    return _model(_rope("default")).model.rotary_emb.inv_freq / turned


YARN = {"factor": 4.0, "original_max_position_embeddings": 64}
SCALINGS: dict[str, tuple[LlamaConfig, Settings, Callable[[], dict[str, Any]]]] = {
    "none": (_rope("default"), {"rope.scaling.type": "none", "rope.scaling.factor": 7.0}, dict),
    "linear": (
        _rope("linear", factor=4.0),
        {"rope.scaling.type": "linear", "rope.scaling.factor": 4.0},
        dict,
    ),
    "linear by the old key": (_rope("linear", factor=2.0), {"rope.scale_linear": 2.0}, dict),
    "yarn": (
        _rope("yarn", **YARN),
        {
            "rope.scaling.type": "yarn",
            "rope.scaling.factor": 4.0,
            "rope.scaling.original_context_length": 64,
            "rope.scaling.finetuned": True,
        },
        dict,
    ),
    "yarn with other bounds": (
        _rope("yarn", **YARN, beta_fast=16.0, beta_slow=2.0),
        {
            "rope.scaling.type": "yarn",
            "rope.scaling.factor": 4.0,
            "rope.scaling.original_context_length": 64,
            "rope.scaling.yarn_beta_fast": 16.0,
            "rope.scaling.yarn_beta_slow": 2.0,
        },
        dict,
    ),
    "llama3": (_rope("llama3", factor=8.0, **LLAMA3), {}, lambda: {"rope_freqs.weight": _llama3_factors(8.0)}),
    "any factors": (
        _rope("longrope", long_factor=FACTORS, short_factor=FACTORS, attention_factor=1.0, factor=1.0),
        {},
        lambda: {"rope_freqs.weight": FACTORS},
    ),
    "factors and linear": (
        _rope("longrope", long_factor=[2 * f for f in FACTORS], short_factor=[2 * f for f in FACTORS], factor=1.0),
        {"rope.scaling.type": "linear", "rope.scaling.factor": 2.0},
        lambda: {"rope_freqs.weight": FACTORS},
    ),
    "longrope": (
        _rope(
            "longrope",
            long_factor=LONG,
            short_factor=SHORT,
            attention_factor=1.25,
            original_max_position_embeddings=64,
        ),
        {
            "rope.scaling.type": "longrope",
            "rope.scaling.attn_factor": 1.25,
            "rope.scaling.original_context_length": 64,
        },
        lambda: {"rope_factors_long.weight": LONG, "rope_factors_short.weight": SHORT},
    ),
}


@pytest.mark.parametrize("scaling", SCALINGS)
def test_a_scaled_rotary_embedding_turns_as_transformers_turns(tokenizer, tmp_path: Path, scaling: str) -> None:
    config, settings, tensors = SCALINGS[scaling]
    expected = _model(config)
    loaded = load(write_gguf(tmp_path / "m.gguf", expected, tokenizer, settings, tensors()), device="cpu").model
    for start, n in [(0, 40), (0, 200), (2000, 200)]:  # LongRoPE turns short and long texts by other angles
        torch.testing.assert_close(_logits(loaded, start, n), _logits(expected, start, n), rtol=1e-4, atol=1e-4)
    unscaled = _model(_rope("default"))
    same = torch.allclose(_logits(loaded, 2000), _logits(unscaled, 2000), rtol=1e-3, atol=1e-3)
    assert same == (scaling == "none")


def test_the_scaling_of_llama_3_is_recognised_by_its_factors(tokenizer, tmp_path: Path) -> None:
    config = _rope("llama3", factor=32.0, **LLAMA3)
    tensors = {"rope_freqs.weight": _llama3_factors(32.0)}
    loaded = load(write_gguf(tmp_path / "m.gguf", _model(config), tokenizer, {}, tensors), device="cpu").model
    assert loaded.config.rope_parameters == {"rope_type": "llama3", "rope_theta": THETA, "factor": 32.0, **LLAMA3}


def test_a_model_that_was_converted_without_its_scaling_is_not_served(tokenizer, tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "m.gguf", _model(_rope("default")), tokenizer, {"rope.scale_linear": 2.0})
    load(file, device="cpu")
    (directory,) = (tmp_path / "cache" / "models").iterdir()
    before = directory.with_name(directory.name.rpartition("-")[0])  # as it was named without a conversion's number
    directory.rename(before)
    (before / "config.json").write_text((before / "config.json").read_text().replace('"linear"', '"default"'))
    assert load(file, device="cpu").model.config.rope_parameters["rope_type"] == "linear"


OTHERS: dict[str, tuple[str, PreTrainedConfig, Settings]] = {
    "biases of a llama": ("llama", LlamaConfig(**SIZES, attention_bias=True, mlp_bias=True), {}),
    "width of a head": (
        "qwen3",
        Qwen3Config(**SIZES, head_dim=16),
        {"attention.key_length": 16, "attention.value_length": 16},
    ),
    "part of a head": (
        "stablelm",
        StableLmConfig(**SIZES, partial_rotary_factor=0.5, use_qkv_bias=True, tie_word_embeddings=False),
        {"rope.dimension_count": 4},
    ),
    "base of starcoder2": (
        "starcoder2",
        Starcoder2Config(**SIZES, rope_parameters={"rope_type": "default", "rope_theta": 1e6}, sliding_window=None),
        {},
    ),
    "window of phi3": ("phi3", Phi3Config(**SIZES, sliding_window=24), {"attention.sliding_window": 24}),
    "soft caps and scale of gemma2": (
        "gemma2",
        Gemma2Config(
            **SIZES,
            head_dim=8,
            query_pre_attn_scalar=8,
            attn_logit_softcapping=2.0,
            final_logit_softcapping=3.0,
            sliding_window=24,
        ),
        {
            "attention.key_length": 8,
            "attention.value_length": 8,
            "attention.sliding_window": 24,
            "attn_logit_softcapping": 2.0,
            "final_logit_softcapping": 3.0,
        },
    ),
    "scaling of gemma3's full attention": (
        "gemma3",
        Gemma3TextConfig(
            **{**SIZES, "num_hidden_layers": 6},
            head_dim=8,
            query_pre_attn_scalar=8,
            sliding_window=24,
            rope_parameters={
                "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
                "sliding_attention": {"rope_type": "default", "rope_theta": 2e4},
            },
        ),
        {
            "attention.key_length": 8,
            "attention.value_length": 8,
            "attention.sliding_window": 24,
            "rope.freq_base_swa": 2e4,
            "rope.scaling.type": "linear",
            "rope.scaling.factor": 8.0,
        },
    ),
}


@pytest.mark.parametrize("case", OTHERS)
def test_settings_that_transformers_passes_over_reach_the_model(tokenizer, tmp_path: Path, case: str) -> None:
    architecture, config, settings = OTHERS[case]
    expected = _model(config)
    file = write_gguf(tmp_path / "m.gguf", expected, tokenizer, settings, architecture=architecture)
    loaded = load(file, device="cpu").model
    torch.testing.assert_close(_logits(loaded), _logits(expected), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "tensors", "lost"),
    [
        ({"attn_logit_softcapping": 50.0}, {}, "attn_logit_softcapping = 50"),
        ({"attention.scale": 0.1}, {}, "attention.scale = 0.1"),
        ({"attention.sliding_window": 24}, {}, "attention.sliding_window = 24"),
        ({"attention.causal": False}, {}, "attention.causal = False"),
        ({"expert_count": 8, "expert_used_count": 2}, {}, "expert_count = 8, expert_used_count = 2"),
        ({"residual_scale": 0.22}, {}, "residual_scale = 0.22"),
        ({"a.new.key": [1, 2, 3]}, {}, "a.new.key"),
        ({"attention.head_count_swa": [2, 1]}, {}, "attention.head_count_swa"),
        ({"rope.dimension_count": 4}, {}, r"rope.dimension_count = 4 \(a head has 8\)"),
        ({"rope.scaling.type": "dynamic"}, {}, "rope.scaling.type = dynamic"),
        ({"rope.scaling.type": "longrope"}, {}, "longrope without rope_factors_long.weight"),
        ({"rope.scaling.type": "yarn", "rope.scaling.yarn_attn_factor": 0.5}, {}, "yarn_attn_factor = 0.5"),
        ({"rope.scaling.alpha": 50.0}, {}, "rope.scaling.alpha = 50.0"),
        (
            {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0},
            {"rope_freqs.weight": FACTORS},
            "rope_freqs.weight together with rope.scaling.type = yarn",
        ),
        ({}, {"rope_freqs.weight": [1.0, 2.0]}, r"rope_freqs.weight \(of 2 factors, where 4 pairs are turned\)"),
        ({}, {"blk.1.attn_sinks.weight": [1.0, 2.0, 3.0, 4.0]}, "blk.1.attn_sinks.weight"),
    ],
)
def test_what_cannot_be_taken_is_refused_by_name(
    tokenizer, tmp_path: Path, settings: Settings, tensors: dict[str, Any], lost: str
) -> None:
    model = _model(LlamaConfig(**SIZES))
    file = write_gguf(tmp_path / "m.gguf", model, tokenizer, settings, tensors)
    with pytest.raises(InputError, match=rf"m\.gguf: .*{lost}.* would be lost"):
        load(file, device="cpu")
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


@pytest.mark.parametrize(
    "settings",
    [
        {"attention.sliding_window": 512},  # as long as the context
        {"expert_count": 0, "logit_scale": 1.0, "attention.causal": True, "pooling_type": 3},
        {"rope.dimension_count": 8, "attention.key_length": 8, "attention.value_length": 8},
    ],
)
def test_settings_without_effect_are_no_reason_to_refuse(tokenizer, tmp_path: Path, settings: Settings) -> None:
    model = _model(LlamaConfig(**SIZES))
    loaded = load(write_gguf(tmp_path / "m.gguf", model, tokenizer, settings), device="cpu").model
    torch.testing.assert_close(_logits(loaded), _logits(model), rtol=1e-4, atol=1e-4)


def test_settings_of_a_wrong_type_are_refused_in_a_line(tokenizer, tmp_path: Path) -> None:
    settings = {"attention.head_count_kv": [2, 1]}
    with pytest.raises(InputError, match=r"cannot convert .*m\.gguf: [^\n]*num_key_value_heads[^\n]*$"):
        load(write_gguf(tmp_path / "m.gguf", _model(LlamaConfig(**SIZES)), tokenizer, settings), device="cpu")


def test_a_block_that_the_file_lacks_is_named(tokenizer, tmp_path: Path) -> None:
    model = _model(LlamaConfig(**SIZES))
    model.config.num_hidden_layers = 3
    with pytest.raises(InputError, match=r"9 weights are missing \(model.layers.2.input_layernorm.w.* and 5 more"):
        load(write_gguf(tmp_path / "m.gguf", model, tokenizer), device="cpu")


BEYOND = "no model computes with such numbers"
NUMBERS: dict[str, tuple[Settings, dict[str, Any], str]] = {
    f"{key} of {value}": ({key: value, **more}, {}, f"{key} = {value}")
    for values, more, keys in (
        ((-4.0, math.inf, math.nan), {"rope.scaling.type": "linear"}, ("rope.scaling.factor", "rope.scale_linear")),
        ((-4.0, math.inf), {"rope.scaling.type": "yarn"}, ("rope.scaling.factor",)),
        (
            (0.0, -1.0, math.nan),
            {"rope.scaling.type": "yarn", "rope.scaling.factor": 2.0},
            ("rope.scaling.yarn_beta_fast", "rope.scaling.yarn_beta_slow"),
        ),
        ((0.0, -1e4, math.inf, math.nan), {}, ("rope.freq_base_swa",)),
        ((math.inf, math.nan), {}, ("attention.scale", "logit_scale")),
    )
    for key in keys
    for value in values
} | {
    f"{name} with {factor}": (
        {"rope.scaling.original_context_length": 64},
        {"rope_factors_long.weight": LONG, "rope_factors_short.weight": SHORT} | {name: [1.0, 2.0, factor, 4.0]},
        name,
    )
    for name in ("rope_factors_long.weight", "rope_factors_short.weight", "rope_freqs.weight")
    for factor in (-1.0, 0.0, math.nan)
}


@pytest.mark.parametrize("case", NUMBERS)
def test_numbers_that_no_model_has_are_refused_by_name(tokenizer, tmp_path: Path, case: str) -> None:
    settings, tensors, name = NUMBERS[case]
    file = write_gguf(tmp_path / "m.gguf", _model(LlamaConfig(**SIZES)), tokenizer, settings, tensors)
    with pytest.raises(InputError, match=rf"m\.gguf: {name}.*{BEYOND}"):
        load(file, device="cpu")
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


@pytest.mark.parametrize("value", [0.0, -1e-5, math.nan, math.inf])
@pytest.mark.parametrize("key", ["rope.freq_base", "attention.layer_norm_rms_epsilon"])
def test_a_base_or_an_epsilon_that_no_model_has_is_refused_by_name(
    tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, value: float
) -> None:
    writer = {"rope.freq_base": "add_rope_freq_base", "attention.layer_norm_rms_epsilon": "add_layer_norm_rms_eps"}
    add = getattr(gguf.GGUFWriter, writer[key])
    monkeypatch.setattr(gguf.GGUFWriter, writer[key], lambda file, _: add(file, value))
    file = write_gguf(tmp_path / "m.gguf", _model(LlamaConfig(**SIZES)), tokenizer)
    with pytest.raises(InputError, match=rf"m\.gguf: {key} = .*{BEYOND}"):
        load(file, device="cpu")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_refused_by_name(tokenizer, tmp_path: Path, value: float) -> None:
    model = _model(LlamaConfig(**SIZES))
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[3, 5] = value
    with pytest.raises(InputError, match=rf"m\.gguf: model.layers.1.mlp.up_proj.weight holds NaN or inf.*{BEYOND}"):
        load(write_gguf(tmp_path / "m.gguf", model, tokenizer), device="cpu")
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


def test_factors_of_zero_are_left_out(tokenizer, tmp_path: Path) -> None:
    """The control: llama.cpp takes these zeros for settings that are not made."""
    model = _model(LlamaConfig(**SIZES))
    settings: Settings = {f"rope.{key}": 0.0 for key in ("scaling.factor", "scale_linear", "scaling.attn_factor")}
    loaded = load(write_gguf(tmp_path / "m.gguf", model, tokenizer, settings), device="cpu").model
    torch.testing.assert_close(_logits(loaded), _logits(model), rtol=1e-4, atol=1e-4)
