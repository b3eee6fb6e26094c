"""What a model says next: several continuations of one text, drawn together.

The text is run once and its key-value cache repeated for every continuation, so that rows have no padding and positions
go on where the text ends. A token is drawn from the nucleus (Holtzman et al. 2020, arXiv 1904.09751): of the tokens in
descending order of p = softmax(logits / temperature), the first whose p together reach top_p,

    token = the first at which the running sum of p exceeds u,      u uniform in [0, sum over the nucleus)

with u from a generator of its own. Generation settings that came with the model (a repetition penalty, a top k) have no
part in it, and the global random state is left alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers.cache_utils import Cache

from ..models import LanguageModel
from .sampling import Sampling, choose_tokens
from .vocabulary import end_tokens


@torch.inference_mode()
def continuations(
    model: LanguageModel, prefix: Int[np.ndarray, " n_tokens"], sampling: Sampling, seed: int
) -> list[list[int]]:
    """The token ids that follow `prefix`, `sampling.n_samples` times; each stops before the end of the text.

    The same seed draws the same. There are fewer than `max_new_tokens` where the text ends or the context is full.
    """
    generator = torch.Generator().manual_seed(seed)  # on the CPU whatever the device
    stops = torch.tensor(end_tokens(model), device=model.device, dtype=torch.long)
    ids = torch.from_numpy(prefix).to(model.device)[None].repeat(sampling.n_samples, 1)  # (sample, position)
    cache = _cache(model, ids)
    has_ended = torch.zeros(len(ids), dtype=torch.bool, device=model.device)
    room = (model.context_tokens or 2**31) - len(prefix)
    for _ in range(min(sampling.max_new_tokens, room)):
        logits = _logits(model, ids, cache)
        uniform = None if sampling.temperature == 0 else torch.rand(len(logits), generator=generator)
        token = choose_tokens(logits, sampling, uniform)
        ids = torch.cat([ids, token[:, None]], dim=1)
        has_ended |= torch.isin(token, stops)
        if has_ended.all():
            break
    rows: list[list[int]] = ids[:, len(prefix) :].tolist()
    last = set(stops.tolist())
    return [row[: next((at for at, token in enumerate(row) if token in last), len(row))] for row in rows]


def _cache(model: LanguageModel, ids: Int[Tensor, "n_samples n_tokens"]) -> Cache | None:
    """All tokens but the last, run once for all samples; None for a model that keeps no such cache."""
    if ids.shape[1] == 1:
        return None
    cache = getattr(model.body(ids[:1, :-1], use_cache=True), "past_key_values", None)
    if not isinstance(cache, Cache):
        return None
    cache.batch_repeat_interleave(len(ids))
    return cache


def _logits(
    model: LanguageModel, ids: Int[Tensor, "n_samples n_tokens"], cache: Cache | None
) -> Float[Tensor, "n_samples vocabulary"]:
    """Of the token after the last. All tokens but that one are in the cache; without a cache everything is run."""
    n_tokens = ids.shape[1]
    n_new = n_tokens if cache is None else 1
    given: dict[str, Any] = {"attention_mask": torch.ones_like(ids), "use_cache": cache is not None}
    if cache is not None:
        given["past_key_values"] = cache
    if model.takes_position_ids:
        given["position_ids"] = torch.arange(n_tokens - n_new, n_tokens, device=ids.device).expand(len(ids), -1)
    logits: Tensor = model.model(ids[:, -n_new:], **given).logits
    return logits[:, -1].float()
