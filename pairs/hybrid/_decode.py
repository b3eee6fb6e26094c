"""Hybrid decoding: the base model writes; where the gate opens it is steered, or the thinking model's token is taken.

For each token, both models having read the same response after prompts of their own:

1. Base and thinking model run one step over their caches.
2. The gate says at which rows to act; a chooser gives the behaviour c of each, a strength its strength a.
3. steer:     h' = h + a n u_c at the output of block L, the blocks above run again (`above.py`), and the steered base's
              token is emitted; n is the mean norm of the residual stream there.
   boost:     a logits is added to the first words of behaviour c in the base's logits, and nothing to its activations.
   force:     the base may only write what goes on with a wording of behaviour c, until one is whole (`phrases.py`).
   takeover:  the thinking model's token is emitted: the ceiling of what any steering at this gate can do.
   Where a plan acts through the sentence, the rows that opened stay open until it ends (`through.py`).
4. KL(steered base || base) of the next token is recorded: both distributions are at hand here.
5. The caches go on from what was emitted, unsteered.

Greedy, or sampled with random numbers of each row's own, the same in every arm and whatever the batch. The step loop of
`generation` runs all of it; what an arm does at a token is one of its interventions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...generation import (
    Change,
    Gate,
    Intervention,
    Sampling,
    StepState,
    choose_tokens,
    divergence_nats,
    generate_followed,
)
from ...models import LanguageModel
from ...models.device_copies import DeviceCopies
from ...rundir import InputError
from .first_words import FirstWords
from .mechanism import Mechanism
from .phrases import Phrases
from .record import Log, RowRecord
from .through import OpenSentences, Through
from .wordings import Wordings

Act = Literal["steer", "boost", "force", "takeover"]
Chooser = Callable[[StepState], Int[Tensor, " rows"]]
StrengthRule = Callable[[StepState, Int[Tensor, " rows"]], Float[Tensor, " rows"]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Plan:
    """How one arm decodes."""

    gate: Gate
    act: Act = "steer"
    mechanism: Mechanism | None = None  # needed to steer; its layer is what gate and chooser see
    words: FirstWords | None = None  # needed to boost
    wordings: Wordings | None = None  # needed to force
    follower_layer: int | None = None  # the block of the thinking model that gate and chooser see; None: none
    chooser: Chooser | None = None  # None: behaviour 0
    strength: StrengthRule | None = None  # None: 1; of a boost in nats
    through: Through | None = None  # None: at the tokens at which the gate opens, and at no others


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
    """Write a response to each prompt, and record what was done at every token.

    Args:
        base: The model that writes.
        thinking: The model that reads along; None for gates that need none. With another tokenizer it reads the same
            characters, and its logits are mapped to the base's tokens.
        base_prompts: Token ids of each prompt.
        thinking_prompts: The same prompts in the thinking model's tokens; None: the base's.
        plan: What is done, and where.
        sampling: Greedy, or temperature and nucleus, and how many tokens at most.
        seed: Of the random numbers.
        n_rows: Prompts that are run together; results depend on it by rounding alone.
        numbers: Of the prompts, where they are some of many; random numbers go by them. Default: 0, 1, 2, ...
        more_ends: Tokens that end a response, beside those of both models.

    Returns:
        A record for each prompt, in order.

    Raises:
        InputError: The plan steers and has no mechanism, boosts and has no words, forces and has no wordings, forces
            through the sentence, or looks into a thinking model of other tokens; or a tokenizer does not give text back
            as it was.
    """
    if plan.act == "steer" and plan.mechanism is None:
        raise InputError("an arm that steers needs a mechanism: the vectors of its behaviours")
    if plan.act == "boost" and plan.words is None:
        raise InputError("an arm that boosts words needs the first words of its behaviours")
    if plan.act == "force" and plan.wordings is None:
        raise InputError("an arm that forces phrases needs the wordings of its behaviours")
    if plan.act == "force" and plan.through is not None:
        raise InputError("an arm that forces phrases goes on until one is whole, not through the sentence")
    arm = _Arm(plan)
    _, ends = generate_followed(
        base,
        thinking,
        base_prompts,
        thinking_prompts,
        sampling,
        seed=seed,
        n_rows=n_rows,
        numbers=numbers,
        more_ends=more_ends,
        layer=None if plan.mechanism is None else plan.mechanism.layer,
        follower_layer=plan.follower_layer,
        interventions=[arm.intervene],
        observe=arm.observe,
    )
    return arm.log.records(len(base_prompts), base, ends)


def intervention_of(plan: Plan) -> Intervention:
    """Make what a plan does at each token, for a step loop of another kind.

    Args:
        plan: How an arm decodes.

    Returns:
        An intervention of its own, with a memory of its own.
    """
    return _Arm(plan).intervene


class _Arm:
    """A plan at work: intervenes at each token, and logs what was done."""

    def __init__(self, plan: Plan) -> None:
        self.log = Log()
        self._plan = plan
        self._phrases = Phrases(plan.wordings or ())
        self._is_word: DeviceCopies | None = None  # (behaviours, vocabulary): which are boosted
        self._open = None if plan.through is None else OpenSentences(plan.through)
        # Of the token that is being chosen.
        self._gated = self._behaviour = self._strength = self._kl_nats = torch.empty(0)

    def intervene(self, state: StepState) -> Change | None:
        """Take over, steer, boost words or force wordings where the gate opens, or has opened in this sentence."""
        self._choose(state)
        plan, behaviour = self._plan, self._behaviour
        if plan.act == "force":
            return self._force(state)
        if plan.act == "takeover":
            rows = self._gated.nonzero()[:, 0]
            return Change(rows, tokens=state.follower_chosen()[rows]) if len(rows) else None
        rows = (self._gated & (self._strength != 0)).nonzero()[:, 0]
        if not len(rows):
            return None
        if plan.act == "boost":
            assert plan.words is not None
            logits = self._boosted(state.logits[rows], behaviour[rows], self._strength[rows])
            self._compare(state, rows, logits)
            uniforms = None if state.uniforms is None else state.uniforms[rows]
            return Change(rows, tokens=choose_tokens(logits, state.sampling, uniforms))
        assert plan.mechanism is not None
        activations = plan.mechanism.applied(state.activations[rows], behaviour[rows], self._strength[rows])
        return Change(rows, activations=activations, look=lambda logits: self._compare(state, rows, logits))

    def _boosted(
        self,
        logits: Float[Tensor, "boosted vocabulary"],
        behaviour: Int[Tensor, " boosted"],
        nats: Float[Tensor, " boosted"],
    ) -> Float[Tensor, "boosted vocabulary"]:
        """Raise the logits of the words of each row's behaviour."""
        if self._is_word is None:
            assert self._plan.words is not None
            is_word = torch.zeros(len(self._plan.words), logits.shape[1], dtype=torch.bool)
            for number, tokens in enumerate(self._plan.words):
                is_word[number, [token for token in tokens if token < logits.shape[1]]] = True
            self._is_word = DeviceCopies(is_word)
        logits = logits.float()
        return torch.where(self._is_word.on(logits.device)[behaviour], logits + nats[:, None], logits)

    def _choose(self, state: StepState) -> None:
        """Say at which rows to act, towards which behaviour and how strongly."""
        plan = self._plan
        gated = plan.gate(state)
        behaviour, strength = torch.full_like(state.last_ids, -1), torch.zeros(len(gated), device=gated.device)
        if plan.act != "takeover":  # also where no gate opens: to look whether one does, the host would wait
            chosen = torch.zeros_like(behaviour) if plan.chooser is None else plan.chooser(state)
            amount = torch.ones_like(strength) if plan.strength is None else plan.strength(state, chosen)
            behaviour, strength = torch.where(gated, chosen, behaviour), torch.where(gated, amount, strength)
        if self._open is not None:
            gated, behaviour, strength = self._open.extended(state, gated, behaviour, strength)
        self._gated, self._behaviour, self._strength = gated, behaviour, strength
        self._kl_nats = torch.zeros_like(strength)

    def _compare(self, state: StepState, rows: Int[Tensor, " steered"], logits: Float[Tensor, "steered n"]) -> None:
        self._kl_nats[rows] = divergence_nats(logits, state.logits[rows]).to(self._kl_nats.dtype)

    def _force(self, state: StepState) -> Change | None:
        """Write a wording where the gate opens, or go on with one that was begun."""
        rows, of_rows, tokens, nats = self._phrases.force(state, self._gated, self._behaviour)
        self._gated = torch.zeros_like(self._gated).index_fill(0, rows, True)  # amid a wording too
        self._behaviour = torch.full_like(self._behaviour, -1).index_copy(0, rows, of_rows)
        self._strength = torch.zeros_like(self._strength).index_fill(0, rows, 1.0)
        self._kl_nats[rows] = nats.to(self._kl_nats.dtype)
        return Change(rows, tokens=tokens) if len(rows) else None

    def observe(
        self, state: StepState, places: Sequence[int], tokens: Int[Tensor, " rows"], numbers: Sequence[int]
    ) -> None:
        """Log one token of each row."""
        base_tokens = state.chosen()
        self.log.add(
            places,
            tokens=tokens,
            base=base_tokens,
            thinking=base_tokens if state.follower_logits is None else state.follower_chosen(),
            base_likeliest=state.likeliest(),
            thinking_likeliest=(
                torch.full_like(tokens, -1) if state.follower_logits is None else state.follower_likeliest()
            ),
            gated=self._gated,
            behaviour=self._behaviour,
            strength=self._strength,
            kl_nats=self._kl_nats,
            base_logits=state.logits,
            thinking_logits=state.follower_logits,
        )
