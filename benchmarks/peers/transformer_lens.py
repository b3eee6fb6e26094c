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
            width = max(len(workload.token_ids[index]) for index in batch)
            ids = torch.zeros(len(batch), width, dtype=torch.long)
            mask = torch.zeros(len(batch), width, dtype=torch.long)
            for row, index in enumerate(batch):
                ids[row, : len(workload.token_ids[index])] = torch.tensor(workload.token_ids[index])
                mask[row, : len(workload.token_ids[index])] = 1
            _, cache = bridge.run_with_cache(
                ids.to(spec.device), attention_mask=mask.to(spec.device), names_filter=lambda name: name in names
            )
            acts = torch.stack([cache[name] for name in names])
            for row, index in enumerate(batch):
                for number, (first, stop) in enumerate(workload.spans[index]):
                    found[index, number] = acts[:, row, first:stop].float().mean(dim=1).cpu()
        return torch.stack([found[key] for key in sorted(found)]).numpy()

    return run
