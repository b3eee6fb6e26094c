"""This project: segments averaged inside the forward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from spec import Spec, Workload


def prepare(
    spec: Spec,
    share_prefixes: bool = True,
    compile: bool = False,
    reads: Sequence[str] = ("mean",),
    sites: Sequence[str] = ("hook_out",),
) -> Callable[[Workload], np.ndarray]:
    from reasonlens.activations import Read
    from reasonlens.activations.engine import Engine, Segments
    from reasonlens.models import LanguageModel
    from reasonlens.models.blocks import find_blocks, find_body
    from reasonlens.models.sites import Site

    model = spec.model()
    handle = LanguageModel(
        model=model, tokenizer=None, body=find_body(model), blocks=find_blocks(model), name="benchmark"
    )
    engine = Engine(
        handle,
        range(handle.n_layers),
        sites=[Site.parse(site) for site in sites],
        share_prefixes=share_prefixes,
        compile=compile,
    )
    parsed = [Read.parse(read) for read in reads]

    def run(workload: Workload) -> np.ndarray:
        rows = [(text, *span) for text, spans in enumerate(workload.spans) for span in spans]
        intervals = [
            (group * len(rows) + number, text, positions.start, positions.stop, group)
            for number, (text, first, stop) in enumerate(rows)
            for group, read in enumerate(parsed)
            if (positions := read.positions(first, stop))
        ]
        segments = Segments(*np.array(intervals, dtype=np.int64).T)
        texts = [np.array(text_ids, dtype=np.int64) for text_ids in workload.token_ids]
        means = torch.empty(len(sites), handle.n_layers, len(rows) * len(parsed), handle.d_model)
        for pooled in engine.run(texts, segments):
            means[:, :, torch.from_numpy(pooled.segments)] = pooled.means
        return means[-1, :, : len(rows)].transpose(0, 1).numpy()  # the first read at the last site

    return run
