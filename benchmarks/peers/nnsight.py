"""nnsight: the outputs of all blocks saved in one trace of each batch, averaged afterwards."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from spec import Spec, Workload


def prepare(spec: Spec) -> Callable[[Workload], np.ndarray]:
    import nnsight

    model = spec.model()
    wrapped = nnsight.NNsight(model)
    n_layers = model.config.num_hidden_layers

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
            ids, mask = ids.to(spec.device), mask.to(spec.device)
            with wrapped.trace(input_ids=ids, attention_mask=mask, use_cache=False):
                saved = nnsight.save([wrapped.model.layers[layer].output for layer in range(n_layers)])
            acts = torch.stack([each[0] if isinstance(each, tuple) else each for each in saved])
            for row, index in enumerate(batch):
                for number, (first, stop) in enumerate(workload.spans[index]):
                    found[index, number] = acts[:, row, first:stop].float().mean(dim=1).cpu()
        return torch.stack([found[key] for key in sorted(found)]).numpy()

    return run
