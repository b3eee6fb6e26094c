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
            ids, _ = workload.padded(batch, spec.device)
            body(input_ids=ids, use_cache=False)

    return run
