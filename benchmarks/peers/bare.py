"""The bare forward pass of the decoder body over length-sorted batches, reading nothing: the unit of every ratio.

Padded on the right and without a mask, which a causal model does not need for what is not padding: the cheapest form.
On a CPU its matrices are multiplied as reasonlens multiplies them, so that a ratio is the price of reading alone; other
tools multiply as torch does.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import torch
from spec import Spec, Workload

from reasonlens.models.products import LinearByOneDNN


def prepare(spec: Spec) -> Callable[[Workload], None]:
    body = spec.model().base_model

    @torch.inference_mode()
    def run(workload: Workload) -> None:
        with LinearByOneDNN() if spec.device == "cpu" else nullcontext():
            for batch in workload.batches:
                ids, _ = workload.padded(batch, spec.device)
                body(input_ids=ids, use_cache=False)

    return run
