"""Hugging Face's own `output_hidden_states=True`, averaged afterwards. The last layer comes with the final norm."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from spec import Spec, Workload


def prepare(spec: Spec) -> Callable[[Workload], np.ndarray]:
    model = spec.model()

    @torch.inference_mode()
    def run(workload: Workload) -> np.ndarray:
        means: dict[tuple[int, int], torch.Tensor] = {}
        for batch in workload.batches:
            ids, mask = workload.padded(batch, spec.device)
            out = model(
                input_ids=ids,
                attention_mask=mask,
                use_cache=False,
                output_hidden_states=True,
            )
            activations = torch.stack(out.hidden_states[1:])  # (layer, batch, position, d_model)
            means |= workload.means(batch, activations)
        return torch.stack([means[key] for key in sorted(means)]).numpy()

    return run
