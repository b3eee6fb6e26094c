"""Choose how many tokens run through the model at a time.

On a CPU it is a few thousand, since more is not faster. On CUDA a small pass measures the memory that a token costs,
and the budget is what fits into the free memory, with a margin; more than 32,768 is not faster. The engine halves a
budget that turns out too large.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ...models import LanguageModel
from ...models.find_place import places_of
from ...models.sites import Site

ON_CPU_TOKENS = 4096
MAX_TOKENS = 32_768
MIN_TOKENS = 64
PROBE_TOKENS = 1024
PASS_COST_TOKENS = {"cpu": 32, "cuda": 512}  # what a forward pass costs in addition to its tokens
MARGIN = 0.6  # share of the free memory; the rest is for fragments, cached prefixes and other processes


def first_budget(model: LanguageModel, layers: Sequence[int], sites: Sequence[Site]) -> int:
    """Choose the number of tokens of the first batch."""
    if model.device.type != "cuda":
        return ON_CPU_TOKENS
    from .pooling import Buffer, pass_over
    from .segments import layout

    n_tokens = min(PROBE_TOKENS, model.context_tokens or PROBE_TOKENS)
    device = model.device
    zero = np.zeros(1, dtype=np.int64)
    try:
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        ids = torch.zeros(1, n_tokens, dtype=torch.long, device=device)
        # The buffer counts too: sentences of 16 tokens are short.
        buffer = Buffer(model, layers, sites, n_tokens // 16)
        where = layout(zero, zero, zero + n_tokens, zero)
        pass_over(model, {"input_ids": ids, "use_cache": False}, places_of(model, layers, sites), where, buffer)
        torch.cuda.synchronize(device)
        bytes_per_token = (torch.cuda.max_memory_allocated(device) - before) / n_tokens
    except torch.OutOfMemoryError:
        return PROBE_TOKENS // 2
    free, _ = torch.cuda.mem_get_info(device)
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    n_fitting = int(MARGIN * free / max(bytes_per_token, 1.0))
    return max(MIN_TOKENS, min(MAX_TOKENS, 1 << (n_fitting.bit_length() - 1)))
