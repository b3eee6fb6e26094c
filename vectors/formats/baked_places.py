"""Find the bias that is added right before a block's output, for each architecture.

A bias of the MLP's last projection is added to the residual stream unchanged, at every position, if nothing comes
between: no norm (Gemma 2, OLMo 2) and no factor (Granite's residual multiplier is divided out). Three cases:

    the bias exists            GPT-2, GPT-Neo, GPT-J, GPT-NeoX, OPT, Phi, BLOOM, Starcoder 2
    the config can add it      Llama, SmolLM3, Granite, Nemotron, Seed-OSS: `mlp_bias`; the other new biases are zero
    it can be written as a     Mistral, and Qwen 2 with its q, k and v biases: LlamaForCausalLM computes the same where
    Llama                      no sliding window is on
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from transformers import LlamaConfig, PretrainedConfig, PreTrainedModel

from ...rundir import InputError

ALTERNATIVE = (
    "Steer it while it runs instead: reasonlens.steer, `reasonlens export --print transformers`, or a plugin of vLLM "
    "(--format vllm-lens, hotwire)"
)


@dataclass(frozen=True, kw_only=True)
class Place:
    """The projection that gets the bias, and the configuration that the checkpoint needs for it."""

    projection: str  # path within a block
    config: PretrainedConfig  # to be written
    architecture: str
    new_biases: tuple[str, ...] = ()  # paths within a block of projections that get a bias of zeros
    factor: float = 1.0  # what the block multiplies the projection's output with
    notes: tuple[str, ...] = field(default=())


_WITH_BIAS = {
    "gpt2": "mlp.c_proj",
    "gpt_neo": "mlp.c_proj",
    "gptj": "mlp.fc_out",
    "gpt_neox": "mlp.dense_4h_to_h",
    "opt": "fc2",
    "phi": "mlp.fc2",
    "bloom": "mlp.dense_4h_to_h",
    "starcoder2": "mlp.c_proj",
}
_GATED = ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
_BIAS_BY_CONFIG = {
    "llama": _GATED,
    "smollm3": _GATED,
    "granite": _GATED,
    "seed_oss": _GATED,
    "nemotron": ("mlp.up_proj", "mlp.down_proj"),
}
_WRITTEN_AS_LLAMA = ("mistral", "qwen2")
_NORM_FOLLOWS = ("gemma2", "gemma3_text", "gemma3", "olmo2", "olmo3", "exaone4", "glm4")


def place_for(model: PreTrainedModel) -> Place:
    """Find where a vector can be baked into `model`; raise InputError with reason and remedy where it cannot."""
    config: Any = model.config
    kind = config.model_type
    architecture = type(model).__name__
    if getattr(model, "hf_quantizer", None) is not None or getattr(config, "quantization_config", None):
        raise InputError(f"{architecture} is quantised here: load it in float32 or bfloat16 to bake a vector into it")
    if kind in _NORM_FOLLOWS or (kind == "opt" and not config.do_layer_norm_before):
        raise InputError(
            f"a vector cannot be baked into {architecture}: a norm follows the MLP before its output is added to the "
            f"residual stream, so that a bias there would be rescaled at every token. {ALTERNATIVE}"
        )
    if kind in _WITH_BIAS and getattr(config, "use_bias", True) and getattr(config, "enable_bias", True):
        return Place(
            projection=_WITH_BIAS[kind], config=config.__class__(**config.to_dict()), architecture=architecture
        )
    if kind in _BIAS_BY_CONFIG:
        written = config.__class__(**config.to_dict() | {"mlp_bias": True})
        return Place(
            projection="mlp.down_proj",
            config=written,
            architecture=architecture,
            new_biases=() if config.mlp_bias else _BIAS_BY_CONFIG[kind],
            factor=float(getattr(config, "residual_multiplier", 1.0)),
        )
    if kind in _WRITTEN_AS_LLAMA:
        return _as_llama(config, architecture)
    raise InputError(
        f"a vector cannot be baked into {architecture}: its blocks have no bias that is added right before their "
        f"output, and its configuration cannot give them one. {ALTERNATIVE}"
    )


def _as_llama(config: Any, architecture: str) -> Place:
    """Configure Mistral or Qwen 2 as the Llama that computes the same."""
    window = getattr(config, "sliding_window", None)
    kinds = set(getattr(config, "layer_types", None) or ())
    windowed = "sliding_attention" in kinds if kinds else getattr(config, "use_sliding_window", True) and window
    if windowed and (window or 0) < config.max_position_embeddings:
        raise InputError(
            f"a vector cannot be baked into this {architecture}: it would be written as a Llama, and a Llama has no "
            f"sliding window (here {window} tokens of {config.max_position_embeddings}). {ALTERNATIVE}"
        )
    shared = (
        *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
        *("num_key_value_heads", "head_dim", "hidden_act", "max_position_embeddings", "initializer_range"),
        *("rms_norm_eps", "use_cache", "rope_parameters", "tie_word_embeddings", "dtype"),
        *("bos_token_id", "eos_token_id", "pad_token_id"),
    )
    qkv = config.model_type == "qwen2"
    fields = {key: getattr(config, key) for key in shared if getattr(config, key, None) is not None}
    return Place(
        projection="mlp.down_proj",
        config=LlamaConfig(**fields, mlp_bias=True, attention_bias=qkv),
        architecture="LlamaForCausalLM",
        new_biases=(*_GATED, *(("self_attn.o_proj",) if qkv else ())),
        notes=(f"written as LlamaForCausalLM, which computes the same as {architecture} here",),
    )
