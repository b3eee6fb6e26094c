"""Choose how many tokens run through the model at a time.

On a CPU it is a few thousand, since more is not faster. On CUDA two small passes of different length measure what a
token costs on each GPU: their difference, so that workspaces that libraries take once do not count. To it comes what a
token leaves in a KV cache, of prefixes and of texts in parts. The budget is what fits into the free memory of the GPU
that holds least, with a margin; more than 32,768 is not faster. The engine halves a budget that turns out too large.
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
SEGMENT_TOKENS = 16  # a short sentence: what a batch's buffer is measured with
PASS_COST_TOKENS = {"cpu": 32, "cuda": 512}  # what a forward pass costs in addition to its tokens
MARGIN = 0.6  # share of the free memory; the rest is for fragments and other processes


def first_budget(model: LanguageModel, layers: Sequence[int], sites: Sequence[Site]) -> int:
    """Choose the number of tokens of the first batch."""
    if model.device.type != "cuda":
        return ON_CPU_TOKENS
    from .pooling import device_of_block

    longest = min(PROBE_TOKENS, model.context_tokens or PROBE_TOKENS)
    n_blocks: dict[torch.device, int] = {model.device: 0}
    for block in model.blocks:
        device = device_of_block(block, model.device)
        n_blocks[device] = n_blocks.get(device, 0) + 1
    gpus = [device for device in n_blocks if device.type == "cuda"]
    try:
        _peaks(model, layers, sites, longest // 2, gpus)  # libraries take their workspaces
        of_shorter, of_longer = (_peaks(model, layers, sites, n_tokens, gpus) for n_tokens in (longest // 2, longest))
    except torch.OutOfMemoryError:
        return PROBE_TOKENS // 2
    n_fitting = MAX_TOKENS
    for device, less, more in zip(gpus, of_shorter, of_longer, strict=True):
        bytes_per_token = (more - less) / (longest - longest // 2) + n_blocks[device] * cached_bytes(model)
        free, _ = torch.cuda.mem_get_info(device)
        free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        n_fitting = min(n_fitting, int(MARGIN * free / max(bytes_per_token, 1.0)))
    return max(MIN_TOKENS, 1 << max(n_fitting.bit_length() - 1, 0))


def cached_bytes(model: LanguageModel) -> int:
    """Compute the bytes of one token's keys and values in one block."""
    _, n_groups, d_head = _heads(model)
    return 2 * n_groups * d_head * model.model.dtype.itemsize


def prefix_cost(model: LanguageModel) -> float:
    """Estimate what a token of a shared prefix costs a row that follows it, in tokens that are run; 0 on a CPU.

    While a block runs, its keys and values are there twice, as gathered and with those of the row behind them, and once
    more for all heads where heads share them; a token that is run is at its largest in the MLP.
    """
    if model.device.type != "cuda":
        return 0.0
    n_heads, n_groups, d_head = _heads(model)
    config = model.model.config.get_text_config(decoder=True)
    d_inner = int(getattr(config, "intermediate_size", None) or 4 * model.d_model)
    of_prefix = 4 * n_groups * d_head + (2 * n_heads * d_head if n_heads > n_groups else 0)
    return of_prefix / (3 * d_inner + 4 * model.d_model)


def _heads(model: LanguageModel) -> tuple[int, int, int]:
    """Return the numbers of heads of queries and of keys, and their width."""
    config = model.model.config.get_text_config(decoder=True)
    n_heads = int(getattr(config, "num_attention_heads", 1) or 1)
    n_groups = int(getattr(config, "num_key_value_heads", None) or n_heads)
    return n_heads, n_groups, int(getattr(config, "head_dim", None) or model.d_model // n_heads)


def _peaks(
    model: LanguageModel, layers: Sequence[int], sites: Sequence[Site], n_tokens: int, gpus: Sequence[torch.device]
) -> list[int]:
    """Measure the bytes that a pass over one text takes on each GPU."""
    from .pooling import Buffer, pass_over
    from .segments import layout

    zero = np.zeros(1, dtype=np.int64)
    for device in gpus:
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
    before = [torch.cuda.memory_allocated(device) for device in gpus]
    ids = torch.zeros(1, n_tokens, dtype=torch.long, device=model.device)
    buffer = Buffer(model, layers, sites, n_tokens // SEGMENT_TOKENS)
    where = layout(zero, zero, zero + n_tokens, zero)
    pass_over(model, {"input_ids": ids, "use_cache": False}, places_of(model, layers, sites), where, buffer)
    for device in gpus:
        torch.cuda.synchronize(device)
    return [torch.cuda.max_memory_allocated(device) - start for device, start in zip(gpus, before, strict=True)]
