"""TransformerLens 4: `run_with_cache` of every block's output, averaged afterwards."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from spec import Spec, Workload


def prepare(spec: Spec) -> Callable[[Workload], np.ndarray]:
    from transformer_lens.model_bridge import TransformerBridge

    model = spec.model()
    n_layers = model.config.num_hidden_layers
    if spec.directory is None:
        model.config._name_or_path = "benchmark"
        bridge = TransformerBridge.boot_transformers("benchmark", hf_model=model, tokenizer=None, device=spec.device)
    else:
        bridge = TransformerBridge.boot_transformers(
            spec.directory, hf_model=model, tokenizer=spec.tokenizer(), device=spec.device
        )
    names = [f"blocks.{layer}.hook_out" for layer in range(n_layers)]

    @torch.inference_mode()
    def run(workload: Workload) -> np.ndarray:
        found: dict[tuple[int, int], torch.Tensor] = {}
        for batch in workload.batches:
            ids, mask = workload.padded(batch, spec.device)
            _, cache = bridge.run_with_cache(ids, attention_mask=mask, names_filter=lambda name: name in names)
            acts = torch.stack([cache[name] for name in names])
            found |= workload.means(batch, acts)
        return torch.stack([found[key] for key in sorted(found)]).numpy()

    return run
