"""How many tokens go through the model at a time.

On a CPU a few thousand: more makes nothing faster. On CUDA a small pass shows what a token costs in memory, and the
budget is what fits into the free part of it, with a margin; more than 32,768 makes nothing faster there either. What
was found too much in use is halved by the engine.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ...models import LanguageModel

ON_CPU_TOKENS = 4096
MOST_TOKENS = 32_768
FEWEST_TOKENS = 64
PROBE_TOKENS = 1024
PASS_COST_TOKENS = {"cpu": 32, "cuda": 512}  # what a forward pass costs beside its tokens
MARGIN = 0.6  # of the free memory: fragments, prefixes kept, and what others take


def first_budget(model: LanguageModel, layers: Sequence[int]) -> int:
    """The tokens of a batch to begin with."""
    if model.device.type != "cuda":
        return ON_CPU_TOKENS
    from .pooling import Buffer, pass_over
    from .segments import layout

    n_tokens = min(PROBE_TOKENS, model.context_tokens or PROBE_TOKENS)
    device = model.device
    one = np.zeros(1, dtype=np.int64)
    try:
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        ids = torch.zeros(1, n_tokens, dtype=torch.long, device=device)
        into = Buffer(model, layers, n_tokens // 16)  # a sentence of 16 tokens is short: the buffer is not forgotten
        pass_over(model, {"input_ids": ids, "use_cache": False}, layers, layout(one, one, one + n_tokens), into)
        torch.cuda.synchronize(device)
        bytes_per_token = (torch.cuda.max_memory_allocated(device) - before) / n_tokens
    except torch.OutOfMemoryError:
        return PROBE_TOKENS // 2
    free, _ = torch.cuda.mem_get_info(device)
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    fits = int(MARGIN * free / max(bytes_per_token, 1.0))
    return max(FEWEST_TOKENS, min(MOST_TOKENS, 1 << (fits.bit_length() - 1)))
