"""Describe the state before a token is chosen, and what may be done about it: gates and interventions.

A gate is a function from a `StepState` to one truth value a row; an intervention one from a `StepState` to a `Change`:
for some rows another token is emitted (takeover), or the output of a block is replaced and the token chosen anew from
what the blocks above make of it (steering). The step loop calls both at every token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..rundir import InputError, brief
from .sampling import Sampling, choose_tokens

GREEDY = Sampling(temperature=0)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class StepState:
    """All rows that are still being written, before their next token."""

    step: int  # tokens of the response that are written already
    rows: Int[Tensor, " rows"]  # number of each row among all prompts: random numbers go by it
    last_ids: Int[Tensor, " rows"]  # the token before
    activations: Float[Tensor, "rows d_model"]  # output of the block that may be steered, at the last token, unsteered
    logits: Float[Tensor, "rows vocabulary"]  # of the model that writes
    follower_logits: Float[Tensor, "rows vocabulary"] | None  # of the model that reads along; None without one
    # Output of the follower's block that is read, at its last token; None or of no width where none is.
    follower_activations: Float[Tensor, "rows d_follower"] | None = None
    sampling: Sampling = GREEDY
    uniforms: Float[Tensor, " rows"] | None = None  # each row's random number for this token; None: greedy
    numbers: Sequence[int] | None = None  # `rows` as the host knows them, without waiting for a device; None: not given
    last_tokens: Sequence[int] | None = None  # the token emitted last, as the host knows it; None: none or not given
    places: Sequence[int] | None = None  # which of the prompts each row answers, on the host; None: made by hand
    _tokens: dict[str, Tensor] = field(default_factory=dict, init=False, repr=False)  # computed once

    __repr__ = brief

    @property
    def row_numbers(self) -> Sequence[int]:
        """The number of each row, on the host."""
        return self.rows.tolist() if self.numbers is None else self.numbers

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
        if "follower_likeliest" not in self._tokens:
            self._tokens["follower_likeliest"] = self._follower_logits().argmax(dim=-1)
        return self._tokens["follower_likeliest"]

    def chosen(self) -> Int[Tensor, " rows"]:
        """Return the token that the model that writes emits by itself: its likeliest, or drawn by the row's number.

        Returns:
            Token ids.
        """
        if self.sampling.is_greedy:
            return self.likeliest()
        if "chosen" not in self._tokens:
            self._tokens["chosen"] = choose_tokens(self.logits, self.sampling, self.uniforms)
        return self._tokens["chosen"]

    def follower_chosen(self) -> Int[Tensor, " rows"]:
        """Return the token that the follower would emit, drawn by the same number of each row.

        Raises:
            InputError: No follower reads along.
        """
        if self.sampling.is_greedy:
            return self.follower_likeliest()
        if "follower_chosen" not in self._tokens:
            self._tokens["follower_chosen"] = choose_tokens(self._follower_logits(), self.sampling, self.uniforms)
        return self._tokens["follower_chosen"]

    def divergence(self) -> Float[Tensor, " rows"]:
        """Compute KL(follower || writer) = sum_v f(v) log(f(v) / w(v)) of the next token, in nats.

        Raises:
            InputError: No follower reads along.
        """
        return divergence_nats(self._follower_logits(), self.logits)

    def _follower_logits(self) -> Float[Tensor, "rows vocabulary"]:
        if self.follower_logits is None:
            raise InputError("this gate looks at the thinking model, and none runs; take the probe gate")
        return self.follower_logits


def divergence_nats(
    logits: Float[Tensor, "rows vocabulary"], reference: Float[Tensor, "rows vocabulary"]
) -> Float[Tensor, " rows"]:
    """Compute KL(p || q) = sum_v p(v) log(p(v) / q(v)) of the next token.

    Args:
        logits: Of p.
        reference: Logits of q.

    Returns:
        The divergence of each row, in nats.
    """
    p, q = logits.float().log_softmax(dim=-1), reference.float().log_softmax(dim=-1)
    divergence: Tensor = (p.exp() * (p - q)).sum(dim=-1)
    return divergence


@dataclass(frozen=True, eq=False, slots=True)
class Change:
    """What an intervention does at some rows: exactly one of `tokens` and `activations` is given."""

    rows: Int[Tensor, " changed"]  # places among the rows of the state
    tokens: Int[Tensor, " changed"] | None = None  # emitted instead
    activations: Float[Tensor, "changed d_model"] | None = None  # the output of the block that is read instead
    # Is given the logits that the blocks above make of these activations, before the token is chosen from them.
    look: Callable[[Float[Tensor, "changed vocabulary"]], None] | None = None

    __repr__ = brief


# At which rows to act. A new gate is one function of this type.
Gate = Callable[[StepState], Bool[Tensor, " rows"]]
# What to do there; None: nothing at this token.
Intervention = Callable[[StepState], Change | None]
# Sees, after each token, the state, which of the prompts its rows answer, and the tokens emitted, on the device and as
# numbers on the host. May return which rows end here though no token says so; None: none.
Observer = Callable[[StepState, Sequence[int], Int[Tensor, " rows"], Sequence[int]], Sequence[bool] | None]


def takeover(gate: Gate) -> Intervention:
    """Make an intervention that emits the follower's token wherever a gate opens.

    Args:
        gate: At which rows.

    Returns:
        The intervention.
    """

    def take_over(state: StepState) -> Change | None:
        rows = gate(state).nonzero()[:, 0]
        return Change(rows, tokens=state.follower_chosen()[rows]) if len(rows) else None

    return take_over


def replacement(
    gate: Gate,
    replace: Callable[[StepState, Int[Tensor, " changed"]], Float[Tensor, "changed d_model"]],
) -> Intervention:
    """Make an intervention that replaces the output of the block that is read wherever a gate opens.

    Args:
        gate: At which rows.
        replace: From the state and the places of these rows to the block's new output at their last token.

    Returns:
        The intervention.
    """

    def steer(state: StepState) -> Change | None:
        rows = gate(state).nonzero()[:, 0]
        return Change(rows, activations=replace(state, rows)) if len(rows) else None

    return steer
