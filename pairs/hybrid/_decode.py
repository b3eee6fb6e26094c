"""Hybrid decoding: the base model writes; where the gate opens it is steered, or the thinking model's token is taken.

For each token, both models having read the same response after prompts of their own:

1. Base and thinking model run one step over their caches.
2. The gate says at which rows to act; a chooser gives the behaviour c of each, a strength its strength a.
3. steer:     h' = h + a n u_c at the output of block L, the blocks above run again (`above.py`), and the steered base's
              token is emitted; n is the mean norm of the residual stream there.
   takeover:  the thinking model's token is emitted: the ceiling of what any steering at this gate can do.
4. The caches go on from what was emitted, unsteered.

Greedy, or sampled with uniform numbers of each row's own, the same in every arm and whatever the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...generation import CachedModel, Follower, Gate, Sampling, StepState, choose_tokens
from ...generation.above import Above
from ...generation.across import MappedFollower, Words
from ...generation.vocabulary import Vocabulary
from ...models import LanguageModel
from ...rundir import InputError
from .mechanism import Mechanism
from .record import Log, RowRecord

Act = Literal["steer", "takeover"]
Chooser = Callable[[StepState], Int[Tensor, " rows"]]
StrengthRule = Callable[[StepState, Int[Tensor, " rows"]], Float[Tensor, " rows"]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Plan:
    """How one arm decodes."""

    gate: Gate
    act: Act = "steer"
    mechanism: Mechanism | None = None  # needed to steer
    chooser: Chooser | None = None  # None: behaviour 0
    strength: StrengthRule | None = None  # None: 1


@torch.inference_mode()
def decode(
    base: LanguageModel,
    thinking: LanguageModel | None,
    base_prompts: Sequence[Sequence[int]],
    thinking_prompts: Sequence[Sequence[int]] | None,
    plan: Plan,
    sampling: Sampling,
    *,
    seed: int = 0,
    n_rows: int = 256,
    numbers: Sequence[int] | None = None,
    more_ends: Sequence[int] = (),
) -> list[RowRecord]:
    """A response to each prompt, with what was done at every token.

    thinking: None for gates that need none; of another tokeniser it reads the same characters, and is told of in the
    base's tokens. thinking_prompts: in its own tokens; None: the base's. n_rows: prompts that are run together.
    numbers: of the prompts, where they are some of many; random numbers go by them. more_ends: tokens that end a
    response, beside those of both models. Raises InputError for a plan that lacks a mechanism, and for a tokeniser that
    does not give text back as it was.
    """
    if plan.act == "steer" and plan.mechanism is None:
        raise InputError("an arm that steers needs a mechanism: the vectors of its behaviours")
    words = None if thinking is None else Words.between(base, thinking)
    alike = thinking if words is None else None
    vocabulary = Vocabulary.of(base, alike, more_ends, sampling.temperature == 0)
    order = sorted(range(len(base_prompts)), key=lambda number: len(base_prompts[number]))
    found: dict[int, RowRecord] = {}
    for start in range(0, len(order), n_rows):
        rows = order[start : start + n_rows]
        known = rows if numbers is None else [numbers[row] for row in rows]
        own, led = CachedModel(base, [base_prompts[row] for row in rows]), None
        if thinking is not None:
            prompts = [(thinking_prompts or base_prompts)[row] for row in rows]
            led = CachedModel(thinking, prompts) if words is None else MappedFollower(thinking, prompts, own, words)
        found |= zip(rows, _Run(own, led, known, plan, sampling, seed, vocabulary).decoded(), strict=True)
    return [found[number] for number in range(len(base_prompts))]


class _Run:
    """Some rows, from their prompts to their ends."""

    def __init__(
        self,
        base: CachedModel,
        thinking: Follower | None,
        numbers: Sequence[int],
        plan: Plan,
        sampling: Sampling,
        seed: int,
        vocabulary: Vocabulary,
    ) -> None:
        self._base, self._thinking, self._vocabulary = base, thinking, vocabulary
        self._plan, self._sampling, self._rows = plan, sampling, torch.tensor(numbers)
        uniforms = np.stack([np.random.default_rng([seed, row]).random(sampling.max_new_tokens) for row in numbers])
        device = base.model.device
        self._uniforms = torch.from_numpy(uniforms).float().to(device)
        self._stops = torch.tensor(vocabulary.ends, device=device, dtype=torch.long)
        rooms = [reader.room() for reader in (base, thinking) if reader is not None]
        self._n_steps = min(sampling.max_new_tokens, *rooms)

    def decoded(self) -> list[RowRecord]:
        log = Log()
        alive = torch.arange(len(self._rows), device=self._base.mask.device)
        layer = 0 if self._plan.mechanism is None else self._plan.mechanism.layer
        with Above(self._base.model, layer).watching() as above:
            for step in range(self._n_steps):
                above.remember(self._base.cache)
                logits = self._vocabulary.told(self._base.step())
                state = StepState(
                    step=step,
                    rows=self._rows.to(alive.device)[alive],
                    last_ids=self._base.ids[:, -1],
                    activations=above.acts[:, -1] if above.acts is not None else logits,
                    logits=logits,
                    follower_logits=self._thinking_logits(logits.device),
                )
                tokens = self._choose(state, above, alive, log)
                going = ~torch.isin(tokens, self._stops)
                if not going.any():
                    break
                kept = None if bool(going.all()) else going.nonzero()[:, 0]
                for reader in (self._base, self._thinking):
                    if reader is not None:
                        reader.extend(tokens, kept)
                alive = alive if kept is None else alive[kept]
        return log.records(len(self._rows), self._base.model, set(self._stops.tolist()))

    def _thinking_logits(self, device: torch.device) -> Float[Tensor, "rows vocabulary"] | None:
        return None if self._thinking is None else self._vocabulary.told(self._thinking.step().to(device))

    def _choose(self, state: StepState, above: Above, alive: Int[Tensor, " rows"], log: Log) -> Int[Tensor, " rows"]:
        plan = self._plan
        uniform = self._uniforms[alive, state.step]
        is_greedy = self._sampling.temperature == 0
        own = state.likeliest() if is_greedy else choose_tokens(state.logits, self._sampling, uniform)
        gated = plan.gate(state)
        behaviour = torch.full_like(own, -1)
        strength = torch.zeros(len(own), device=own.device)
        tokens = own.clone()
        thinking = None
        if state.follower_logits is not None and is_greedy:
            thinking = state.follower_likeliest()
        elif state.follower_logits is not None:
            thinking = choose_tokens(state.follower_logits, self._sampling, uniform)
        if bool(gated.any()):
            if plan.act == "takeover":
                tokens = torch.where(gated, state.follower_likeliest() if thinking is None else thinking, own)
            else:
                assert plan.mechanism is not None
                picked = torch.zeros_like(own) if plan.chooser is None else plan.chooser(state)
                amount = torch.ones_like(strength) if plan.strength is None else plan.strength(state, picked)
                behaviour, strength = torch.where(gated, picked, behaviour), torch.where(gated, amount, strength)
                steered = (gated & (strength != 0)).nonzero()[:, 0]
                if len(steered):
                    tokens[steered] = self._steered_tokens(state, above, steered, picked, strength, uniform)
        log.add(
            alive,
            tokens=tokens,
            base=own,
            thinking=own if thinking is None else thinking,
            gated=gated,
            behaviour=behaviour,
            strength=strength,
            base_logits=state.logits,
            thinking_logits=state.follower_logits,
        )
        return tokens

    def _steered_tokens(
        self,
        state: StepState,
        above: Above,
        steered: Int[Tensor, " steered"],
        behaviour: Int[Tensor, " rows"],
        strength: Float[Tensor, " rows"],
        uniform: Float[Tensor, " rows"],
    ) -> Int[Tensor, " steered"]:
        assert self._plan.mechanism is not None
        acts = self._plan.mechanism.applied(state.activations[steered], behaviour[steered], strength[steered])
        given = self._base.inputs
        if self._base.ids.shape[1] > 1:  # the prompt's pass: only its last token is run again, over all before it
            return self._after_prompt(acts, steered, uniform)
        logits = above.logits(acts, steered, self._base.cache, given, self._base.ids)
        return choose_tokens(self._vocabulary.told(logits), self._sampling, uniform[steered])

    def _after_prompt(
        self, acts: Float[Tensor, "steered d_model"], steered: Int[Tensor, " steered"], uniform: Float[Tensor, " rows"]
    ) -> Int[Tensor, " steered"]:
        """The first token of the response: the prompt is read again with its last activation replaced."""
        assert self._plan.mechanism is not None

        def hook(module: object, args: object, output: Any) -> Any:
            hidden = (output[0] if isinstance(output, tuple) else output).clone()
            hidden[:, -1] = acts
            return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

        handle = self._base.model.blocks[self._plan.mechanism.layer].register_forward_hook(hook)
        try:
            given = self._base.inputs
            some = {name: value[steered] if isinstance(value, Tensor) else value for name, value in given.items()}
            output = self._base.model.model(self._base.ids[steered], **{**some, "use_cache": False})
        finally:
            handle.remove()
        logits = self._vocabulary.told(output.logits[:, -1].float())
        return choose_tokens(logits, self._sampling, uniform[steered])
