"""The bare forward pass of the decoder body over length-sorted batches, reading nothing: the unit of every ratio.

Padded on the right and without a mask, which a causal model does not need for what is not padding: the cheapest form.
"""

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
            for row, index in enumerate(batch):
                ids[row, : len(workload.token_ids[index])] = torch.tensor(workload.token_ids[index])
            body(input_ids=ids.to(spec.device), use_cache=False)

    return run
