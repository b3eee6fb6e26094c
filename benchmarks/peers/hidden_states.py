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
        found: dict[tuple[int, int], torch.Tensor] = {}
        for batch in workload.batches:
            width = max(len(workload.token_ids[index]) for index in batch)
            ids = torch.zeros(len(batch), width, dtype=torch.long)
            mask = torch.zeros(len(batch), width, dtype=torch.long)
            for row, index in enumerate(batch):
                ids[row, : len(workload.token_ids[index])] = torch.tensor(workload.token_ids[index])
                mask[row, : len(workload.token_ids[index])] = 1
            out = model(
                input_ids=ids.to(spec.device),
                attention_mask=mask.to(spec.device),
                use_cache=False,
                output_hidden_states=True,
            )
            acts = torch.stack(out.hidden_states[1:])  # (layer, batch, position, d_model)
            for row, index in enumerate(batch):
                for number, (first, stop) in enumerate(workload.spans[index]):
                    found[index, number] = acts[:, row, first:stop].float().mean(dim=1).cpu()
        return torch.stack([found[key] for key in sorted(found)]).numpy()

    return run
