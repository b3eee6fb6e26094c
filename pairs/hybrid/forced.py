"""Read texts as a hybrid would have written them: how likely each token was where the gate may have steered it.

    nats of a token    -log p(token | prompt, the response so far)    of the steered base where the gate opens

The step loop of `generation` runs over the text token by token; an intervention after the hybrid's own puts the text's
token in the place of the one that was chosen, so that caches and gates see the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...generation import CachedModel, Change, Sampling, StepState, Vocabulary, generate
from ...models import LanguageModel
from ...rundir import InputError
from ._decode import Plan, intervention_of


@dataclass(eq=False)
class _Forced:
    """Put the tokens of texts in the place of what was chosen, and keep how likely they were."""

    plan: Plan
    tokens: Int[Tensor, "texts longest"]
    nats: list[tuple[Tensor, Tensor]] = field(default_factory=list)  # rows and values of each step
    logits: Tensor | None = None

    def __post_init__(self) -> None:
        self._intervene = intervention_of(self.plan)

    def steer(self, state: StepState) -> Change | None:
        self.logits = state.logits
        change = self._intervene(state)
        if change is None or change.activations is None:
            return change

        def look(steered: Float[Tensor, "changed vocabulary"]) -> None:
            assert self.logits is not None
            self.logits = self.logits.index_copy(0, change.rows, steered)

        return replace(change, look=look)

    def force(self, state: StepState) -> Change:
        assert self.logits is not None
        tokens = self.tokens.to(state.rows.device)[state.rows, state.step]
        log_probabilities = self.logits.float().log_softmax(dim=-1)
        self.nats.append((state.rows.cpu(), -log_probabilities.gather(1, tokens[:, None])[:, 0].cpu()))
        return Change(torch.arange(len(tokens), device=tokens.device), tokens=tokens)


def forced_nats(
    base: LanguageModel,
    thinking: LanguageModel,
    base_prompts: Sequence[Sequence[int]],
    thinking_prompts: Sequence[Sequence[int]],
    responses: Sequence[Sequence[int]],
    plan: Plan,
    *,
    n_rows: int = 256,
) -> list[Float[np.ndarray, " n_tokens"]]:
    """Read responses with a hybrid.

    Args:
        base: The model that writes.
        thinking: The model that reads along, of the same tokens.
        base_prompts: Token ids of each prompt.
        thinking_prompts: The same prompts as the thinking model reads them.
        responses: Token ids of each response, one or more.
        plan: How the hybrid decodes; it steers.
        n_rows: Responses that are read together; results depend on it by rounding alone.

    Returns:
        Nats of each token of each response.

    Raises:
        InputError: The plan does not steer.
    """
    if plan.act != "steer" or plan.through is not None:
        raise InputError("only a hybrid that steers at the tokens of its gate can read a text")
    longest = max(map(len, responses))
    tokens = torch.tensor([[*response, *[0] * (longest - len(response))] for response in responses])
    forced = _Forced(plan, tokens)
    generate(
        base,
        base_prompts,
        Sampling(n_samples=1, temperature=0.0, max_new_tokens=longest),
        n_rows=n_rows,
        limits=[len(response) for response in responses],
        vocabulary=Vocabulary.of(base, thinking, (), is_greedy=False),  # ends that are merged keep all they had
        follower_of=lambda _, places: CachedModel(
            thinking, [thinking_prompts[place] for place in places], read_layer=plan.follower_layer
        ),
        layer=None if plan.mechanism is None else plan.mechanism.layer,
        interventions=[forced.steer, forced.force],
    )
    nats: list[list[float]] = [[] for _ in responses]
    for rows, values in forced.nats:
        for row, value in zip(rows.tolist(), values.tolist(), strict=True):
            nats[row].append(value)
    return [np.array(of_row) for of_row in nats]
