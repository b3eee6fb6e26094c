"""Tiny random models of every kind that the step loop meets: with sliding windows, with recurrent states, uncached."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Lfm2Config,
    MambaConfig,
    MiniMaxConfig,
    MistralConfig,
    PretrainedConfig,
    PreTrainedTokenizerFast,
    RwkvConfig,
)

from reasonlens.models import LanguageModel, wrap
from tests.conftest import _ROPE, _SHARED, CONFIGS, D_MODEL, N_LAYERS, VOCABULARY

_MIXED = _SHARED | {
    "num_hidden_layers": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
WINDOWED: dict[str, Callable[[], PretrainedConfig]] = {
    "window": lambda: MistralConfig(**_ROPE, num_key_value_heads=2, sliding_window=6)
}
RECURRENT: dict[str, Callable[[], PretrainedConfig]] = {
    "lfm2": lambda: Lfm2Config(**_MIXED, layer_types=["conv", "full_attention"] * 2)
}
UNCACHED: dict[str, Callable[[], PretrainedConfig]] = {
    "minimax": lambda: MiniMaxConfig(
        **_MIXED,
        head_dim=8,
        num_local_experts=2,
        num_experts_per_tok=1,
        layer_types=["linear_attention", "full_attention"] * 2,
        block_size=4,
    ),
    "mamba": lambda: MambaConfig(vocab_size=VOCABULARY, hidden_size=D_MODEL, num_hidden_layers=N_LAYERS, state_size=8),
    "rwkv": lambda: RwkvConfig(vocab_size=VOCABULARY, hidden_size=D_MODEL, num_hidden_layers=N_LAYERS),
}
EVERY = {**CONFIGS, **WINDOWED, **RECURRENT, **UNCACHED}
CACHED = [*CONFIGS, *WINDOWED, *RECURRENT]


@pytest.fixture
def speaker(tokenizer: PreTrainedTokenizerFast) -> Callable[..., LanguageModel]:
    """`speaker("window", ends=[7])`: a random model, the same at every call, whose texts end at these tokens too."""

    def make(architecture: str = "llama", ends: list[int] | None = None, moved: float = 0.0) -> LanguageModel:
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(EVERY[architecture]())
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for weight in model.parameters() if moved else ():
                weight.add_(moved * weight.std().nan_to_num() * torch.randn(weight.shape, generator=generator))
        model.generation_config.eos_token_id = ends
        return wrap(model, tokenizer, name=f"speaker-{architecture}")

    return make
