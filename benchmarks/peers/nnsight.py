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
        means: dict[tuple[int, int], torch.Tensor] = {}
        for batch in workload.batches:
            ids, mask = workload.padded(batch, spec.device)
            with wrapped.trace(input_ids=ids, attention_mask=mask, use_cache=False):
                saved = nnsight.save([wrapped.model.layers[layer].output for layer in range(n_layers)])
            activations = torch.stack([output[0] if isinstance(output, tuple) else output for output in saved])
            means |= workload.means(batch, activations)
        return torch.stack([means[key] for key in sorted(means)]).numpy()

    return run
