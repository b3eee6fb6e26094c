"""What is known when a token is to be chosen: the state that gates and interventions look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..rundir import InputError


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class StepState:
    """All rows that are still being written, before their next token."""

    step: int  # tokens of the response that are written already
    rows: Int[Tensor, " rows"]  # number of each row among all prompts: random numbers go by it
    last_ids: Int[Tensor, " rows"]  # the token before
    activations: Float[Tensor, "rows d_model"]  # output of the block that may be steered, at the last token, unsteered
    logits: Float[Tensor, "rows vocabulary"]  # of the model that writes
    follower_logits: Float[Tensor, "rows vocabulary"] | None  # of the model that reads along; None without one
    _tokens: dict[str, Tensor] = field(default_factory=dict, init=False, repr=False)  # computed once

    def likeliest(self) -> Int[Tensor, " rows"]:
        """Return the likeliest next token of the model that writes."""
        if "likeliest" not in self._tokens:
            self._tokens["likeliest"] = self.logits.argmax(dim=-1)
        return self._tokens["likeliest"]

    def follower_likeliest(self) -> Int[Tensor, " rows"]:
        """Return the likeliest next token of the follower.

        Raises:
            InputError: No follower reads along.
        """
        if "follower likeliest" not in self._tokens:
            self._tokens["follower likeliest"] = self._follower_logits().argmax(dim=-1)
        return self._tokens["follower likeliest"]

    def divergence(self) -> Float[Tensor, " rows"]:
        """Compute KL(follower || writer) = sum_v f(v) log(f(v) / w(v)) of the next token, in nats.

        Raises:
            InputError: No follower reads along.
        """
        follower, writer = self._follower_logits().log_softmax(dim=-1), self.logits.log_softmax(dim=-1)
        divergence: Tensor = (follower.exp() * (follower - writer)).sum(dim=-1)
        return divergence

    def _follower_logits(self) -> Float[Tensor, "rows vocabulary"]:
        if self.follower_logits is None:
            raise InputError("this gate looks at the thinking model, and none runs; take the probe gate")
        return self.follower_logits


# At which rows to intervene. A new gate is one function of this type.
Gate = Callable[[StepState], Bool[Tensor, " rows"]]
