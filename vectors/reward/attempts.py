"""Hold responses to groups of prompts with their rewards, and lay some of them out for one pass of a model.

Prompts are padded on the left and responses on the right, so that all responses begin in one column and the output
layer runs on their tokens alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...generation import group_advantages
from ...models import LanguageModel
from ...models.one_pass import one_pass


@dataclass(frozen=True, eq=False, slots=True)
class Attempts:
    """Responses that a model has sampled, the same number to each prompt, group after group."""

    prompts: Sequence[Sequence[int]]  # of each response
    responses: Sequence[Sequence[int]]  # token ids, the one that ended it last
    rewards: Float[Tensor, "groups samples"]

    @property
    def n_tokens(self) -> int:
        """Tokens of all responses."""
        return sum(map(len, self.responses))

    @property
    def advantages(self) -> Float[Tensor, " responses"]:
        """Each reward less the mean of its group, in the order of the responses."""
        return group_advantages(self.rewards).flatten()


@dataclass(frozen=True, eq=False, slots=True)
class Reading:
    """Some responses as a model reads them."""

    ids: Int[Tensor, "rows columns"]
    mask: Int[Tensor, "rows columns"]
    tokens: Int[Tensor, "rows response"]
    is_token: Bool[Tensor, "rows response"]

    @classmethod
    def of(cls, attempts: Attempts, rows: Sequence[int], device: torch.device) -> Reading:
        """Lay out some responses.

        Args:
            attempts: All of them.
            rows: Which.
            device: Where the model runs.

        Returns:
            The layout.
        """
        prompts, responses = ([held[row] for row in rows] for held in (attempts.prompts, attempts.responses))
        n_prompt, n_response = max(map(len, prompts)), max(map(len, responses))
        ids = torch.zeros(len(rows), n_prompt + n_response, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
            columns = slice(n_prompt - len(prompt), n_prompt + len(response))
            ids[row, columns] = torch.tensor([*prompt, *response])
            mask[row, columns] = 1
        tokens, is_token = ids[:, n_prompt:], mask[:, n_prompt:].bool()
        return cls(ids.to(device), mask.to(device), tokens.to(device), is_token.to(device))

    def log_probabilities(
        self, model: LanguageModel, temperature: float = 1.0
    ) -> Float[Tensor, "rows response vocabulary"]:
        """Compute the log-probabilities of the next token before every token of the responses.

        Args:
            model: The model that reads.
            temperature: By which it samples.

        Returns:
            In nats, float32; what stands at padding means nothing.
        """
        n_response = self.tokens.shape[1]
        columns = torch.arange(self.ids.shape[1] - n_response - 1, self.ids.shape[1] - 1, device=self.ids.device)
        inputs: dict[str, Any] = {"attention_mask": self.mask, "logits_to_keep": columns, "use_cache": False}
        if model.takes_position_ids:
            inputs["position_ids"] = (self.mask.cumsum(1) - 1).clamp_min(0)
        with one_pass(model):
            logits = model.model(self.ids, **inputs).logits
        log_probabilities: Tensor = (logits.float() / temperature).log_softmax(-1)
        return log_probabilities
