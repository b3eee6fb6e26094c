"""What the tokens of each span are before any block has run: the mean of their input embeddings.

    embedding of a span = mean over the positions that the read averages of E[token]

E is the model's own embedding module: a scale that it applies (Gemma) is in it, what a model adds after it (learnt
positions) is not. No forward pass is needed. The module is called rather than its weight indexed, so that weights which
accelerate has offloaded are brought in.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import embedding_bag

from ..models import LanguageModel
from .engine import Segments
from .engine.pooling import to_device
from .engine.segments import concatenated_ranges

CHUNK_TOKENS = 8192  # looked up at a time, so that memory does not depend on how long the texts are


def mean_embeddings(
    model: LanguageModel, texts: Sequence[Int[np.ndarray, " n_tokens"]], segments: Segments, n_spans: int
) -> Float[Tensor, "n_spans d_embedding"]:
    """Mean input embeddings of segments 0 to `n_spans` of `texts` (ascending in `segments`), float32, on the CPU."""
    chosen = segments.take(segments.segment < n_spans)
    begins = np.cumsum([0, *map(len, texts)])[chosen.text]
    places = concatenated_ranges(begins + chosen.first, begins + chosen.stop)
    token_ids = np.concatenate([np.empty(0, dtype=np.int64), *texts])[places]
    span_of = np.repeat(chosen.segment, chosen.stop - chosen.first)
    sums = torch.zeros(n_spans, _embedded(model, token_ids[:0]).shape[-1])
    for start in range(0, len(token_ids), CHUNK_TOKENS):
        here = slice(start, start + CHUNK_TOKENS)
        distinct, rows = np.unique(token_ids[here], return_inverse=True)
        spans, bags = np.unique(span_of[here], return_index=True)
        embedded = _embedded(model, distinct)  # (n_distinct, d_embedding)
        summed = embedding_bag(to_device(rows, embedded.device), embedded, to_device(bags, embedded.device), mode="sum")
        sums[torch.from_numpy(spans)] += summed.cpu()
    n_positions = torch.from_numpy(np.bincount(span_of, minlength=n_spans))
    return sums / n_positions[:, None]


def _embedded(model: LanguageModel, token_ids: Int[np.ndarray, " n"]) -> Float[Tensor, "n d_embedding"]:
    with torch.no_grad():
        found: Tensor = model.model.get_input_embeddings()(to_device(token_ids[None], model.device))
    return found[0].float()
