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
            ids, mask = workload.padded(batch, spec.device)
            body(input_ids=ids, attention_mask=mask, use_cache=False)

    return run
