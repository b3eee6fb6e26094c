"""One model reading prompts of its own and then a response, token by token over a key-value cache.

The thinking model is a `Follower`: it hears the tokens that the base says and tells what it would say, in the base's
tokens. With the base's own tokeniser any `CachedModel` is one; with another it reads across (`across.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache

from ..models import LanguageModel
from .vocabulary import end_tokens


class Follower(Protocol):
    """What decoding needs of the thinking model."""

    def step(self) -> Float[Tensor, "rows vocabulary"]: ...

    def extend(self, tokens: Int[Tensor, " rows"], kept: Int[Tensor, " kept"] | None) -> None: ...

    def room(self) -> int: ...


class CachedModel:
    """One model reading prompts of its own and then the response, over a cache."""

    def __init__(self, model: LanguageModel, prompts: Sequence[Sequence[int]]) -> None:
        self.model = model
        stops = end_tokens(model)
        pad, width = (stops[0] if stops else 0), max(len(prompt) for prompt in prompts)
        rows = [[pad] * (width - len(prompt)) + list(prompt) for prompt in prompts]
        masks = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        self.ids, self.mask = torch.tensor(rows, device=model.device), torch.tensor(masks, device=model.device)
        self.cache = DynamicCache(config=model.model.config)
        self.inputs: dict[str, Any] = {}
        self.logits: Float[Tensor, "rows vocabulary"] | None = None  # of the last step

    def step(self) -> Float[Tensor, "rows vocabulary"]:
        """Read what is new."""
        self.inputs = {"attention_mask": self.mask, "use_cache": True, "logits_to_keep": 1}
        if self.model.takes_position_ids:
            self.inputs["position_ids"] = (self.mask.cumsum(dim=1) - 1).clamp_min(0)[:, -self.ids.shape[1] :]
        output = self.model.model(self.ids, past_key_values=self.cache, **self.inputs)
        logits: Tensor = output.logits[:, -1].float()
        self.logits = logits
        return logits

    def room(self) -> int:
        """How many more tokens the model's context has room for."""
        return (self.model.context_tokens or 2**31) - self.ids.shape[1]

    def extend(self, tokens: Int[Tensor, " rows"], kept: Int[Tensor, " kept"] | None) -> None:
        """Go on from `tokens`, with some of the rows only."""
        tokens = tokens.to(self.mask.device)
        if kept is not None:
            kept = kept.to(self.mask.device)
            tokens, self.mask = tokens[kept], self.mask[kept]
            # As batch_select_indices does, and on a CPU in a third of its time.
            self.cache.reorder_cache(cast(torch.LongTensor, kept))
        self.ids = tokens[:, None]
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(tokens), 1)], dim=1)
