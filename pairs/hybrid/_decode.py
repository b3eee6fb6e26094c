"""Hybrid decoding: the base model writes; where the gate opens it is steered, or the thinking model's token is taken.

For each token, both models having read the same response after prompts of their own:

1. Base and thinking model run one step over their caches.
2. The gate says at which rows to act; a chooser gives the behaviour c of each, a strength its strength a.
3. steer:     h' = h + a n u_c at the output of block L, the blocks above run again (`above.py`), and the steered base's
              token is emitted; n is the mean norm of the residual stream there.
   boost:     a logits is added to the first words of behaviour c in the base's logits, and nothing to its activations.
   force:     the base may only write what goes on with a wording of behaviour c, until one is whole (`phrases.py`).
   takeover:  the thinking model's token is emitted: the ceiling of what any steering at this gate can do.
4. The caches go on from what was emitted, unsteered.

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
    CachedModel,
    Change,
    Follower,
    Gate,
    Sampling,
    StepState,
    Vocabulary,
    choose_tokens,
    generate,
)
from ...generation.across import MappedFollower, TokenMap
from ...models import LanguageModel
from ...rundir import InputError
from .first_words import FirstWords
from .mechanism import Mechanism
from .phrases import Phrases
from .record import Log, RowRecord
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
        n_rows: Prompts that are run together; results do not depend on it.
        numbers: Of the prompts, where they are some of many; random numbers go by them. Default: 0, 1, 2, ...
        more_ends: Tokens that end a response, beside those of both models.

    Returns:
        A record for each prompt, in order.

    Raises:
        InputError: The plan steers and has no mechanism, boosts and has no words, forces and has no wordings, or looks
            into a thinking model of other tokens; or a tokenizer does not give text back as it was.
    """
    if plan.act == "steer" and plan.mechanism is None:
        raise InputError("an arm that steers needs a mechanism: the vectors of its behaviours")
    if plan.act == "boost" and plan.words is None:
        raise InputError("an arm that boosts words needs the first words of its behaviours")
    if plan.act == "force" and plan.wordings is None:
        raise InputError("an arm that forces phrases needs the wordings of its behaviours")
    token_map = None if thinking is None else TokenMap.between(base, thinking)
    if plan.follower_layer is not None and token_map is not None:
        raise InputError("the thinking model has other tokens than the base: an arm cannot look at its activations")
    same_tokens = thinking if token_map is None else None
    vocabulary = Vocabulary.of(base, same_tokens, more_ends, sampling.is_greedy)
    prompts = thinking_prompts or base_prompts

    def follow(writer: CachedModel, places: Sequence[int]) -> Follower:
        assert thinking is not None
        of_batch = [prompts[place] for place in places]
        if token_map is None:
            return CachedModel(thinking, of_batch, read_layer=plan.follower_layer)
        return MappedFollower(thinking, of_batch, writer, token_map)

    limits = None
    if same_tokens is not None and same_tokens.context_tokens is not None:
        limits = [same_tokens.context_tokens - len(prompt) for prompt in prompts]
    arm = _Arm(plan)
    generate(
        base,
        base_prompts,
        sampling,
        seed=seed,
        n_rows=n_rows,
        numbers=numbers,
        limits=limits,
        vocabulary=vocabulary,
        follower_of=None if thinking is None else follow,
        layer=None if plan.mechanism is None else plan.mechanism.layer,
        interventions=[arm.intervene],
        observe=arm.observe,
    )
    return arm.log.records(len(base_prompts), base, set(vocabulary.ends))


class _Arm:
    """A plan at work: intervenes at each token, and logs what was done."""

    def __init__(self, plan: Plan) -> None:
        self.log = Log()
        self._plan = plan
        self._phrases = Phrases(plan.wordings or ())
        self._gated = self._behaviour = self._strength = torch.empty(0)  # of the token that is being chosen

    def intervene(self, state: StepState) -> Change | None:
        """Take over, steer, boost words or force wordings where the gate opens."""
        plan = self._plan
        self._gated = gated = plan.gate(state)
        self._behaviour = torch.full_like(state.last_ids, -1)
        self._strength = torch.zeros(len(gated), device=gated.device)
        if plan.act == "force":
            return self._force(state)
        if not bool(gated.any()):
            return None
        if plan.act == "takeover":
            rows = gated.nonzero()[:, 0]
            return Change(rows, tokens=state.follower_chosen()[rows])
        behaviour = self._chosen(state)
        strength = torch.ones_like(self._strength) if plan.strength is None else plan.strength(state, behaviour)
        self._behaviour = torch.where(gated, behaviour, self._behaviour)
        self._strength = torch.where(gated, strength, self._strength)
        rows = (gated & (self._strength != 0)).nonzero()[:, 0]
        if not len(rows):
            return None
        if plan.act == "boost":
            assert plan.words is not None
            return Change(rows, tokens=_boosted(state, rows, behaviour[rows], self._strength[rows], plan.words))
        assert plan.mechanism is not None
        activations = plan.mechanism.applied(state.activations[rows], behaviour[rows], self._strength[rows])
        return Change(rows, activations=activations)

    def _force(self, state: StepState) -> Change | None:
        behaviour = self._chosen(state) if bool(self._gated.any()) else self._behaviour
        rows, of_rows, tokens = self._phrases.force(state, self._gated, behaviour)
        self._gated = torch.zeros_like(self._gated).index_fill(0, rows, True)  # amid a wording too
        self._behaviour = self._behaviour.index_copy(0, rows, of_rows)
        self._strength = self._strength.index_fill(0, rows, 1.0)
        return Change(rows, tokens=tokens) if len(rows) else None

    def _chosen(self, state: StepState) -> Int[Tensor, " rows"]:
        plan = self._plan
        return torch.zeros_like(state.last_ids) if plan.chooser is None else plan.chooser(state)

    def observe(self, state: StepState, places: Int[Tensor, " rows"], tokens: Int[Tensor, " rows"]) -> None:
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
            base_logits=state.logits,
            thinking_logits=state.follower_logits,
        )


def _boosted(
    state: StepState,
    rows: Int[Tensor, " boosted"],
    behaviour: Int[Tensor, " boosted"],
    nats: Float[Tensor, " boosted"],
    words: FirstWords,
) -> Int[Tensor, " boosted"]:
    """Choose tokens by the base's logits with those of each row's words raised."""
    logits = state.logits[rows].float()
    for number, tokens in enumerate(words):
        members = (behaviour == number).nonzero()
        places = torch.tensor([token for token in tokens if token < logits.shape[1]], device=logits.device)
        logits[members, places] += nats[members]
    return choose_tokens(logits, state.sampling, None if state.uniforms is None else state.uniforms[rows])
