"""TransformerLens 4: `run_with_cache` of every block's output, averaged afterwards."""

from __future__ import annotations

from collections.abc import Callable
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from spec import Spec, Workload


def prepare(spec: Spec) -> Callable[[Workload], np.ndarray]:
    from transformer_lens.model_bridge import TransformerBridge

    model = spec.model()
    n_layers = model.config.num_hidden_layers
    with TemporaryDirectory() as directory:  # TransformerLens makes the tokenizer again from its files
        bridge = TransformerBridge.boot_transformers(
            spec.directory or "benchmark",
            hf_model=model,
            tokenizer=spec.tokenizer() if spec.directory else _any_tokenizer(directory),
            device=spec.device,
            dtype=model.dtype,
        )
    names = [f"blocks.{layer}.hook_out" for layer in range(n_layers)]

    @torch.inference_mode()
    def run(workload: Workload) -> np.ndarray:
        means: dict[tuple[int, int], torch.Tensor] = {}
        for batch in workload.batches:
            ids, mask = workload.padded(batch, spec.device)
            _, cache = bridge.run_with_cache(ids, attention_mask=mask, names_filter=lambda name: name in names)
            activations = torch.stack([cache[name] for name in names])
            means |= workload.means(batch, activations)
        return torch.stack([means[key] for key in sorted(means)]).numpy()

    return run


def _any_tokenizer(directory: str) -> Any:
    """Some tokenizer: TransformerLens wants one, also where it is given token ids."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    raw = Tokenizer(WordLevel({"<s>": 0, "</s>": 1, "<unk>": 2}, unk_token="<unk>"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>", pad_token="</s>")
    tokenizer.save_pretrained(directory)
    return AutoTokenizer.from_pretrained(directory, trust_remote_code=False)
