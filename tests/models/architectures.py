"""Tiny random models of architectures whose blocks differ, and where their sites are, as read from their code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    Cohere2Config,
    FalconConfig,
    Gemma3TextConfig,
    GPT2Config,
    GPTJConfig,
    GPTNeoXConfig,
    GraniteConfig,
    JambaConfig,
    LlamaConfig,
    MambaConfig,
    MixtralConfig,
    Olmo2Config,
    OPTConfig,
    PhiConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

from reasonlens.models import LanguageModel, wrap

_BASE = {"vocab_size": 400, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
_ROPE = _BASE | {"intermediate_size": 48, "max_position_embeddings": 128}
_GROUPED = _ROPE | {"num_key_value_heads": 2}
_GPT = {"vocab_size": 400, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 128}
_OPT = _BASE | {"ffn_dim": 48, "max_position_embeddings": 128, "word_embed_proj_dim": 32}

CONFIGS: dict[str, Callable[[], Any]] = {
    "llama": lambda: LlamaConfig(**_GROUPED),
    "qwen3": lambda: Qwen3Config(**_GROUPED, head_dim=8),
    "gemma3": lambda: Gemma3TextConfig(**_GROUPED, head_dim=8),
    "olmo2": lambda: Olmo2Config(**_GROUPED),
    "granite": lambda: GraniteConfig(**_GROUPED, residual_multiplier=0.22),
    "mixtral": lambda: MixtralConfig(**_GROUPED, num_local_experts=4),
    "gpt2": lambda: GPT2Config(**_GPT),
    "opt": lambda: OPTConfig(**_OPT),
    "opt-norms-after": lambda: OPTConfig(**_OPT, do_layer_norm_before=False),
    "neox-one-after-the-other": lambda: GPTNeoXConfig(**_ROPE, use_parallel_residual=False),
    "bloom": lambda: BloomConfig(vocab_size=400, hidden_size=32, n_layer=3, n_head=4),
    "neox": lambda: GPTNeoXConfig(**_ROPE),
    "gptj": lambda: GPTJConfig(**_GPT, rotary_dim=8),
    "phi": lambda: PhiConfig(**_ROPE),
    "falcon": lambda: FalconConfig(**_BASE),
    "cohere2": lambda: Cohere2Config(**_GROUPED),
    "mamba": lambda: MambaConfig(vocab_size=400, hidden_size=32, num_hidden_layers=3, state_size=8),
    "jamba": lambda: JambaConfig(**_GROUPED, attn_layer_period=2, attn_layer_offset=1, num_experts=2, pad_token_id=0),
}

# Read from the architectures' code: the module whose output attention adds, the one whose input is the stream between,
# the one whose output the MLP adds; and what the block multiplies both by.
BY_HAND: dict[str, tuple[str, str | None, str, float]] = {
    "llama": ("self_attn", "post_attention_layernorm", "mlp", 1),
    "qwen3": ("self_attn", "post_attention_layernorm", "mlp", 1),
    "gemma3": ("post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm", 1),
    "olmo2": ("post_attention_layernorm", "mlp", "post_feedforward_layernorm", 1),
    "granite": ("self_attn", "post_attention_layernorm", "mlp", 0.22),
    "mixtral": ("self_attn", "post_attention_layernorm", "mlp", 1),
    "gpt2": ("attn", "ln_2", "mlp", 1),
    "opt": ("self_attn", "final_layer_norm", "fc2", 1),
    "neox-one-after-the-other": ("attention", "post_attention_layernorm", "mlp", 1),
    "bloom": ("self_attention.dense", "post_attention_layernorm", "mlp.dense_4h_to_h", 1),
    "opt-norms-after": ("self_attn", "fc1", "fc2", 1),
    "neox": ("attention", None, "mlp", 1),
    "gptj": ("attn", None, "mlp", 1),
    "phi": ("self_attn", None, "mlp", 1),
    "falcon": ("self_attention", None, "mlp", 1),
    "cohere2": ("self_attn", None, "mlp", 1),
}
PARALLEL = [name for name, (_, middle, _, _) in BY_HAND.items() if middle is None]


def make(
    architecture: str, tokenizer: PreTrainedTokenizerFast, dtype: torch.dtype = torch.float32, **options: Any
) -> LanguageModel:
    """A random model, the same at every call; its norms and biases are not 1 and 0, as those of trained models."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(CONFIGS[architecture](), **options)
    for name, weight in model.named_parameters():
        if weight.ndim == 1:
            nn.init.normal_(weight, mean=float("norm" in name or "ln_" in name) / 2, std=0.3)
    model.config.architectures = [type(model).__name__]
    return wrap(model.to(dtype), tokenizer, name=f"tiny-{architecture}")
