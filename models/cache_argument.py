"""Name the argument of a pass that takes keys and values of earlier tokens, and find them in what a pass returns.

transformers 5.24 renamed it from `past_key_values` to `cache`, and calls the states of recurrent models `cache` too
(`cache_params` before). Those that have states alone do not count: their rows cannot be padded and selected as others'.
"""

from __future__ import annotations

import inspect
from typing import Any

from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

BEFORE, SINCE = "past_key_values", "cache"


def cache_argument(model: PreTrainedModel) -> str | None:
    """Name the argument of a model's passes that takes keys and values; None if none does.

    Args:
        model: Any causal language model of transformers.

    Returns:
        `past_key_values`, or `cache` since transformers 5.24.
    """
    arguments = inspect.signature(model.forward).parameters
    if BEFORE in arguments:
        return BEFORE
    return SINCE if SINCE in arguments and _has_keys(model) else None


def _has_keys(model: PreTrainedModel) -> bool:
    """Tell apart models with keys from those with states alone, some of which (xLSTM) do not say so in their layers."""
    has_keys = {isinstance(layer, DynamicLayer) for layer in DynamicCache(config=model.config).layers}
    return has_keys == {True, False} if getattr(model, "_is_stateful", False) else True in has_keys


def filled_cache(output: Any) -> Any:
    """Return the cache that a pass has filled; None where it has none.

    Args:
        output: What the pass returned.
    """
    cache = getattr(output, SINCE, None)
    return getattr(output, BEFORE, None) if cache is None else cache
