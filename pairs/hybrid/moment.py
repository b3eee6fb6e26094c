"""What is known when a token is to be chosen: the state that gates, choosers of categories and doses look at."""

from __future__ import annotations

from dataclasses import dataclass, field

from jaxtyping import Float, Int
from torch import Tensor

from ...rundir import InputError


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Moment:
    """All rows that are still going, before their next token."""

    step: int  # tokens of the response that there are already
    rows: Int[Tensor, " rows"]  # their places among the prompts
    last_ids: Int[Tensor, " rows"]  # the token before
    base_acts: Float[Tensor, "rows d_model"]  # of the base model at the steered layer, unsteered
    base_logits: Float[Tensor, "rows vocabulary"]
    thinking_logits: Float[Tensor, "rows vocabulary"] | None  # None where no thinking model runs
    _likeliest: dict[str, Tensor] = field(default_factory=dict, init=False, repr=False)  # found once

    def base_tokens(self) -> Int[Tensor, " rows"]:
        """What the base model would say."""
        if "base" not in self._likeliest:
            self._likeliest["base"] = self.base_logits.argmax(dim=-1)
        return self._likeliest["base"]

    def thinking_tokens(self) -> Int[Tensor, " rows"]:
        """What the thinking model would say. Raises InputError where none runs."""
        if "thinking" not in self._likeliest:
            self._likeliest["thinking"] = self._thinking().argmax(dim=-1)
        return self._likeliest["thinking"]

    def divergence(self) -> Float[Tensor, " rows"]:
        """KL of the base from the thinking model, sum_v t(v) log(t(v) / b(v)), in nats."""
        thinking, base = self._thinking().log_softmax(dim=-1), self.base_logits.log_softmax(dim=-1)
        found: Tensor = (thinking.exp() * (thinking - base)).sum(dim=-1)
        return found

    def _thinking(self) -> Float[Tensor, "rows vocabulary"]:
        if self.thinking_logits is None:
            raise InputError("this gate looks at the thinking model, and none runs; take the probe gate")
        return self.thinking_logits
