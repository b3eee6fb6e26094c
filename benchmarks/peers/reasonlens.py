"""This project: segments averaged inside the forward pass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from spec import Spec, Workload


def prepare(spec: Spec, share_prefixes: bool = True, compile: bool = False) -> Callable[[Workload], np.ndarray]:
    from reasonlens.activations.engine import Engine, Segments
    from reasonlens.models import LanguageModel
    from reasonlens.models.blocks import find_blocks, find_body

    model = spec.model()
    handle = LanguageModel(
        model=model, tokenizer=None, body=find_body(model), blocks=find_blocks(model), name="benchmark"
    )
    engine = Engine(handle, range(handle.n_layers), share_prefixes=share_prefixes, compile=compile)

    def run(workload: Workload) -> np.ndarray:
        rows = [(text, *span) for text, spans in enumerate(workload.spans) for span in spans]
        segments = Segments.of([(number, *row) for number, row in enumerate(rows)])
        texts = [np.array(text_ids, dtype=np.int64) for text_ids in workload.token_ids]
        means = torch.empty(handle.n_layers, len(rows), handle.d_model)
        for pooled in engine.run(texts, segments):
            means[:, torch.from_numpy(pooled.segments)] = pooled.means[0]
        return means.transpose(0, 1).numpy()

    return run
