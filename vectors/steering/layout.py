"""Find the place of each token of a forward pass: which are real, and its position among the real tokens of its row.

transformers gives a model its texts in many layouts. Known are those in which each row is one text and each token
attends to all real tokens before it, or to those of a window:

1. A mask of two dimensions covers all columns, cached ones too: positions count its ones.
2. No mask: all columns are real, and positions count columns.
3. A mask of four dimensions (static caches come with one, or with one for each kind of attention): a token is real if
   it attends to itself. The mask has to be that of a causal row, which is checked.

All else has a `problem`: several texts packed into a row (position ids that begin anew, cu_seq_lens, masks that number
the texts), pages of a cache, a mask for part of the columns. Positions are then unknown, and asking for them is an
error. Whether there is a problem is looked up when positions are asked for, since it makes the host wait for the
device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from transformers.cache_utils import Cache

from ...generation.fixed_cache import filled_columns
from ...rundir import InputError

PACKED = ("cu_seq_lens_q", "cu_seq_lens_k", "cu_seqlens", "cu_seq_lens", "seq_idx", "sequence_ids", "document_ids")
PAGED = ("read_index", "write_index", "block_table", "block_tables", "slot_mapping")
CACHES = ("past_key_values", "cache_params", "cache", "state", "mems")


@dataclass(frozen=True, eq=False, slots=True)
class Layout:
    """The places of the tokens of one pass."""

    is_real: Bool[Tensor, "rows tokens"]
    positions: Int[Tensor, "rows tokens"]
    columns: Bool[Tensor, "rows columns"] | None  # which columns are real, cached ones too; None: not known, or all
    is_unmasked: bool  # whether all columns are real, since there is no mask
    find_problem: Callable[[], str | None]  # why rows and positions are not known; waits for the device


def cache_of(arguments: dict[str, Any]) -> tuple[Cache | None, str | None]:
    """Return the cache that a pass is given, and the kind of what it is given in the place of one that can be read."""
    for name in CACHES:
        value = arguments.get(name)
        if isinstance(value, Cache):
            return value, None
        if value is not None and not (isinstance(value, tuple | list) and not len(value)):
            return None, type(value).__name__
    return None, None


def columns_in(cache: Cache) -> int | None:
    """Count the columns that a cache holds.

    Args:
        cache: The cache of a pass that is about to run.

    Returns:
        Their number; None where the cache is filled and counts none, as that of a recurrent model.
    """
    n_filled = filled_columns(cache)
    if n_filled is not None:
        return n_filled
    n_columns = _length(cache)
    if n_columns:
        return n_columns
    n_columns = max((_length(cache, layer) or 0 for layer in range(len(cache.layers))), default=0)
    flags = [flag for layer in cache.layers for flag in getattr(layer, "has_previous_state", {}).values()]
    has_state = any(flags) or any(isinstance(state, Tensor) for state in getattr(cache, "linear_cache", ()))
    return None if not n_columns and has_state else n_columns


def of_held_columns(cache: Cache | None, mask: Any, n_columns: int) -> Any:
    """Cut the columns off a mask that a cache of one shape has free, behind the `n_columns` that are filled."""
    if cache is None or filled_columns(cache) is None or not isinstance(mask, Tensor) or mask.ndim != 2:
        return mask
    return mask[:, :n_columns]


def _length(cache: Cache, *layer: int) -> int | None:
    try:
        return int(cache.get_seq_length(*layer))
    except (ValueError, TypeError, LookupError, AttributeError, NotImplementedError):  # a layer that counts none
        return None


def layout_of(
    arguments: dict[str, Any],
    n_rows: int,
    n_tokens: int,
    first: int,
    device: torch.device,
    *,
    window: int | None,
    is_padded: Callable[[], bool],
) -> Layout:
    """Find the layout of a pass.

    Args:
        arguments: Of the model's forward, by name.
        n_rows: Rows of the ids.
        n_tokens: Columns of the ids.
        first: How many columns the cache holds.
        device: Of the ids.
        window: To how many tokens a token attends; None: to all. Where a model has both, that of the shorter kind.
        is_padded: Tells whether columns in the cache are known to be padding.

    Returns:
        The layout.

    Raises:
        InputError: The pass reads pages of a cache, so that not even padding is known.
    """
    if any(arguments.get(name) is not None for name in PAGED):
        raise InputError(
            "a model under continuous batching (generate_batch, a paged cache) cannot be steered: its rows hold parts "
            "of several texts. Use generate with a padded batch."
        )
    names = [name for name in PACKED if arguments.get(name) is not None]
    packed = f"several texts are packed into one row ({names[0]})" if names else None
    mask, is_full = _mask_of(arguments.get("attention_mask"), window)
    position_ids = arguments.get("position_ids")
    position_ids = position_ids if isinstance(position_ids, Tensor) else None
    if isinstance(mask, Tensor) and mask.ndim == 2:
        unchecked = _by_mask(mask, n_rows, n_tokens, first)
    elif isinstance(mask, Tensor) and mask.ndim == 4:
        unchecked = _by_attention(mask, n_rows, n_tokens, first, position_ids, None if is_full else window)
    else:
        columns = torch.arange(first, first + n_tokens, device=device).expand(n_rows, -1)
        is_real = torch.ones(n_rows, n_tokens, dtype=torch.bool, device=device)
        kind = None if mask is None else f"the attention mask is a {_kind(mask)}, which cannot be read"
        unchecked = Layout(is_real, columns, None, True, lambda: kind or _unmasked_padding(is_padded))

    def find_problem() -> str | None:
        return packed or _restart(position_ids, unchecked.is_real, n_tokens) or unchecked.find_problem()

    return Layout(unchecked.is_real, unchecked.positions, unchecked.columns, unchecked.is_unmasked, find_problem)


def _mask_of(mask: Any, window: int | None) -> tuple[Any, bool]:
    """Choose the mask that shows most, and tell whether its tokens attend to all before them."""
    if not isinstance(mask, dict):
        return mask, window is None
    if "full_attention" in mask:
        return mask["full_attention"], True
    return next((layer_mask for layer_mask in mask.values() if layer_mask is not None), None), window is None


def _by_mask(mask: Int[Tensor, "rows columns"], n_rows: int, n_tokens: int, first: int) -> Layout:
    real = mask.bool().expand(n_rows, -1)
    n_columns = real.shape[1]
    if n_tokens == 1:
        positions = (real.sum(dim=1, keepdim=True) - 1).clamp_min(0)
    else:
        positions = (real.long().cumsum(dim=1) - 1)[:, -n_tokens:].clamp_min(0)
    if n_columns < n_tokens:
        raise InputError(f"the attention mask has {n_columns} columns for {n_tokens} tokens")

    def find_problem() -> str | None:
        if n_columns != first + n_tokens:
            return f"the attention mask has {n_columns} columns, and the cache and this pass {first + n_tokens}"
        if n_tokens > 1 and mask.dtype != torch.bool and bool((mask > 1).any()):
            return "the attention mask numbers several texts in one row"
        return None

    return Layout(real[:, -n_tokens:], positions, real, False, find_problem)


def _by_attention(
    mask: Tensor, n_rows: int, n_tokens: int, first: int, position_ids: Tensor | None, window: int | None
) -> Layout:
    """Read a mask of (rows, heads, tokens, columns), bool or added to the scores."""
    attends = (mask if mask.dtype == torch.bool else mask == 0)[:, 0].expand(n_rows, -1, -1)
    n_columns, last = attends.shape[-1], first + n_tokens
    places = torch.arange(first, last, device=mask.device)
    if n_columns < last or attends.shape[1] != n_tokens or not (mask.dtype == torch.bool or mask.is_floating_point()):
        is_real = torch.ones(n_rows, n_tokens, dtype=torch.bool, device=mask.device)
        if n_tokens == 1 and position_ids is not None and position_ids.ndim == 2:  # a static sliding window
            return Layout(is_real, position_ids.expand(n_rows, -1), None, False, lambda: None)
        problem = f"the attention mask of shape {tuple(mask.shape)} does not cover the {last} columns of the text"
        return Layout(is_real, places.expand(n_rows, -1), None, False, lambda: problem)
    is_real = attends[:, torch.arange(n_tokens, device=mask.device), places]
    if n_tokens == 1 and window is not None and last > window:
        if position_ids is not None and position_ids.ndim == 2:
            return Layout(is_real, position_ids.expand(n_rows, -1), None, False, lambda: None)
        return Layout(
            is_real, places.expand(n_rows, -1), None, False, lambda: "the mask of a window shows no positions"
        )
    columns = (attends & is_real[:, :, None]).any(dim=1)[:, :last]
    columns = torch.cat([columns[:, :first], is_real], dim=1)
    positions = (columns.long().cumsum(dim=1) - 1)[:, first:].clamp_min(0)

    def find_problem() -> str | None:
        if n_tokens == 1:
            return None
        distance = places[:, None] - torch.arange(n_columns, device=mask.device)
        causal = distance >= 0
        if n_columns > last:
            padded = torch.nn.functional.pad(columns, (0, n_columns - last))
        else:
            padded = columns
        for reach in {None, window}:
            expected = padded[:, None] & (causal if reach is None else causal & (distance < reach))
            if bool(((attends == expected) | ~is_real[:, :, None]).all()):
                return None
        return "the attention mask is not that of one text in each row, read from left to right"

    return Layout(is_real, positions, columns, False, find_problem)


def _restart(position_ids: Tensor | None, is_real: Bool[Tensor, "rows tokens"], n_tokens: int) -> str | None:
    """Find position ids that do not go on by one from token to token: transformers takes a jump for another text."""
    if position_ids is None or n_tokens == 1 or position_ids.shape[-1] != n_tokens:
        return None
    positions = position_ids if position_ids.ndim == 2 else position_ids[0]  # text positions, then those of images
    steps = positions[:, 1:] - positions[:, :-1]
    both_real = is_real[:, 1:] & is_real[:, :-1]
    jumps = (steps != 1 if position_ids.ndim == 2 else steps < 0).to(is_real.device) & both_real
    return "the position ids begin anew, or jump, inside a row" if bool(jumps.any()) else None


def _unmasked_padding(is_padded: Callable[[], bool]) -> str | None:
    return "the prompts were padded, and this pass has no attention mask" if is_padded() else None


def _kind(mask: Any) -> str:
    return f"tensor of {mask.ndim} dimensions" if isinstance(mask, Tensor) else type(mask).__name__
