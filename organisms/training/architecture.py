"""The one shape of all organisms: a Llama of 4 blocks, width 128, 4 heads over 2 groups; 0.8 million parameters."""

from __future__ import annotations

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from ..language import tokenizer

CONTEXT = 384


def new_model(seed: int) -> LlamaForCausalLM:
    """Make an untrained model, its weights drawn by `seed`; the global random state is left as it was."""
    words = tokenizer()
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)
