"""Compute the mean input embedding of each span's tokens, before any block has run.

    embedding of a span = mean over the positions that the read averages of E[token]

E is the model's own embedding module: a scale that it applies (Gemma) is included, what a model adds after it (learnt
positions) is not. No forward pass is needed. The module is called, not its weight indexed, so that weights which
accelerate has offloaded are loaded.
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
from .engine.segments import concatenated_ranges
from .engine.transfer import to_device

CHUNK_TOKENS = 8192  # looked up at a time, so that memory does not depend on the length of the texts


def mean_embeddings(
    model: LanguageModel, texts: Sequence[Int[np.ndarray, " n_tokens"]], segments: Segments, n_spans: int
) -> Float[Tensor, "n_spans d_embedding"]:
    """Compute the mean input embeddings of segments 0 to `n_spans` (ascending in `segments`), float32, on the CPU."""
    chosen = segments.take(segments.segment < n_spans)
    text_starts = np.cumsum([0, *map(len, texts)])[chosen.text]
    positions = concatenated_ranges(text_starts + chosen.first, text_starts + chosen.stop)
    token_ids = np.concatenate([np.empty(0, dtype=np.int64), *texts])[positions]
    span_of = np.repeat(chosen.segment, chosen.stop - chosen.first)
    sums = torch.zeros(n_spans, _embed(model, token_ids[:0]).shape[-1])
    for start in range(0, len(token_ids), CHUNK_TOKENS):
        chunk = slice(start, start + CHUNK_TOKENS)
        distinct, rows = np.unique(token_ids[chunk], return_inverse=True)
        spans, bags = np.unique(span_of[chunk], return_index=True)
        vectors = _embed(model, distinct)  # (n_distinct, d_embedding)
        chunk_sums = embedding_bag(
            to_device(rows, vectors.device), vectors, to_device(bags, vectors.device), mode="sum"
        )
        sums[torch.from_numpy(spans)] += chunk_sums.cpu()
    n_positions = torch.from_numpy(np.bincount(span_of, minlength=n_spans))
    return sums / n_positions[:, None]


def _embed(model: LanguageModel, token_ids: Int[np.ndarray, " n"]) -> Float[Tensor, "n d_embedding"]:
    with torch.no_grad():
        vectors: Tensor = model.model.get_input_embeddings()(to_device(token_ids[None], model.device))
    return vectors[0].float()
