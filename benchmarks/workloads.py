"""The texts that are run: real traces, contrast pairs, and random tokens for models of random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.spec import Workload
from reasonlens.activations.engine.batching import batches
from reasonlens.activations.engine.budget import MAX_TOKENS, ON_CPU_TOKENS, PASS_COST_TOKENS

_LLAMA = {"vocab_size": 128_256, "rope_theta": 500_000.0, "max_position_embeddings": 131_072}
SHAPES: dict[str, dict[str, Any]] = {
    "8b": _LLAMA
    | {
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "intermediate_size": 14_336,
    },
    "1.5b": {  # Qwen2.5-1.5B
        "vocab_size": 151_936,
        "hidden_size": 1536,
        "num_hidden_layers": 28,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
        "intermediate_size": 8960,
        "max_position_embeddings": 32_768,
    },
    "small": {
        "vocab_size": 4096,
        "hidden_size": 256,
        "num_hidden_layers": 8,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "intermediate_size": 896,
        "max_position_embeddings": 131_072,
    },
}


def random_model(shape: str, seed: int, device: str) -> Any:
    """A handle of a model with random weights that never ends a text; bfloat16 on CUDA, else float32."""
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

    from reasonlens.models import wrap

    config = LlamaConfig(**SHAPES[shape], eos_token_id=None, bos_token_id=None)
    words = {f"w{number}": number for number in range(config.vocab_size)}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel(words, unk_token="w0")))
    torch.manual_seed(seed)
    dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
    return wrap(model, tokenizer, name=f"{shape}-{seed}")


def smollm2_directory(scratch: Path) -> tuple[str, Any]:
    """SmolLM2-135M as an ordinary Hugging Face directory, which every tool can load, and its tokenizer."""
    from reasonlens import load

    handle = load("smollm2-135m", device="cpu")
    handle.model.save_pretrained(scratch / "smollm2")
    handle.tokenizer.save_pretrained(scratch / "smollm2")
    return str(scratch / "smollm2"), handle.tokenizer


def short_traces(tokenizer: Any, n_texts: int) -> Workload:
    """The beginnings of bundled texts, of lengths spread from 53 to 195 tokens, and their labelled sentences."""
    from reasonlens import bundled_traces
    from reasonlens.traces import token_span

    lengths = np.linspace(53, 195, n_texts).astype(int)
    texts, ids, spans = [], [], []
    long = (trace for trace in bundled_traces() if len(tokenizer(trace.text)["input_ids"]) >= 195)
    for trace, length in zip(long, lengths, strict=False):
        encoded = tokenizer(trace.text, add_special_tokens=False, return_offsets_mapping=True)
        offsets = np.array(encoded["offset_mapping"])
        token_spans = [token_span(offsets, trace.text, span.start, span.end) for span in trace.spans]
        texts.append(trace.text[: offsets[length - 1, 1]])
        ids.append(encoded["input_ids"][:length])
        spans.append([list(span) for span in token_spans if span and span[1] <= length])
    return _workload(texts, ids, spans)


def contrast_pairs(tokenizer: Any, n_pairs: int = 8, n_prefix: int = 77, n_suffix: int = 102) -> Workload:
    """Pairs of texts that share their first 77 tokens and go on for about 102; the last ten tokens are read."""
    random = np.random.default_rng(0)
    words = [ids for ids in range(1000, 20_000) if tokenizer.decode([ids]).strip().isalpha()]
    ids = []
    for _ in range(n_pairs):
        prefix = random.choice(words, n_prefix).tolist()
        ids += [prefix + random.choice(words, int(n_suffix * random.uniform(0.8, 1.2))).tolist() for _ in range(2)]
    return _workload(
        [tokenizer.decode(text_ids) for text_ids in ids],
        ids,
        [[[len(text_ids) - 10, len(text_ids)]] for text_ids in ids],
    )


def random_texts(n_words: int, n_tokens: int, total_tokens: int, on_cuda: bool) -> Workload:
    """Texts of random tokens, each cut into sentences of 25."""
    random = np.random.default_rng(0)
    ids = [random.integers(0, n_words, n_tokens).tolist() for _ in range(max(1, total_tokens // n_tokens))]
    spans = [[[at, min(at + 25, n_tokens)] for at in range(1, n_tokens, 25)] for _ in ids]
    return _workload(["" for _ in ids], ids, spans, PASS_COST_TOKENS["cuda" if on_cuda else "cpu"])


def _workload(
    texts: list[str], ids: list[list[int]], spans: list[list[list[int]]], cost_tokens: int = PASS_COST_TOKENS["cpu"]
) -> Workload:
    budget = MAX_TOKENS if cost_tokens == PASS_COST_TOKENS["cuda"] else ON_CPU_TOKENS
    return Workload(texts, ids, spans, batches([len(text_ids) for text_ids in ids], budget, cost_tokens))
