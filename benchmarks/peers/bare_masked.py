"""The bare forward pass with the attention mask that tokenizers give: what most scripts run."""

from __future__ import annotations

from collections.abc import Callable

import torch
from spec import Spec, Workload


def prepare(spec: Spec) -> Callable[[Workload], None]:
    body = spec.model().base_model

    @torch.inference_mode()
    def run(workload: Workload) -> None:
        for batch in workload.batches:
            width = max(len(workload.token_ids[index]) for index in batch)
            ids = torch.zeros(len(batch), width, dtype=torch.long)
            mask = torch.zeros(len(batch), width, dtype=torch.long)
            for row, index in enumerate(batch):
                ids[row, : len(workload.token_ids[index])] = torch.tensor(workload.token_ids[index])
                mask[row, : len(workload.token_ids[index])] = 1
            body(input_ids=ids.to(spec.device), attention_mask=mask.to(spec.device), use_cache=False)

    return run
