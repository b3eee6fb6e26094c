"""A random Llama of four blocks as a GGUF file in float32: llama.cpp and transformers compute the same of it."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
from transformers import PreTrainedTokenizerBase

N_LAYERS, D_MODEL = 4, 64


def write(path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    generator = np.random.default_rng(0)
    vocabulary = tokenizer.get_vocab()
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(N_LAYERS)
    writer.add_context_length(256)
    writer.add_embedding_length(D_MODEL)
    writer.add_feed_forward_length(96)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(D_MODEL // 4)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * len(tokens))
    writer.add_token_merges(["Ġ t"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)

    def tensor(name: str, *shape: int) -> None:
        # About what keeps a sum over the inputs at the size of one of them, so that every block does something.
        values = generator.normal(size=shape, scale=1.0 if len(shape) == 1 else shape[-1] ** -0.5)
        writer.add_tensor(name, values.astype(np.float32))

    tensor("token_embd.weight", len(tokens), D_MODEL)
    tensor("output_norm.weight", D_MODEL)
    tensor("output.weight", len(tokens), D_MODEL)
    shapes = {
        "attn_norm": (D_MODEL,),
        "ffn_norm": (D_MODEL,),
        "attn_q": (D_MODEL, D_MODEL),
        "attn_k": (D_MODEL // 2, D_MODEL),
        "attn_v": (D_MODEL // 2, D_MODEL),
        "attn_output": (D_MODEL, D_MODEL),
        "ffn_gate": (96, D_MODEL),
        "ffn_up": (96, D_MODEL),
        "ffn_down": (D_MODEL, 96),
    }
    for block in range(N_LAYERS):
        for name, shape in shapes.items():
            tensor(f"blk.{block}.{name}.weight", *shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
