"""Write a behaviour's wording, token by token, where the gate opens: no vector, and no other model's words.

From its opening on a row may only write tokens that go on with a wording of its behaviour (`wordings.py`), until one is
whole. Among these the base chooses by its own probabilities, with the row's own random number where words are drawn:
the limit of a word boost of boundless nats. Every token that is written so counts as steered, with strength 1.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...generation import StepState, choose_tokens
from ...models.device_copies import uploaded
from .wordings import Wording, Wordings


class Phrases:
    """The rows that are amid a wording, and what they have of it."""

    def __init__(self, wordings: Wordings) -> None:
        self._wordings = wordings
        self._begun: dict[int, tuple[int, Wording]] = {}  # number of the row -> behaviour, its tokens so far
        self._chosen: dict[
            int, tuple[int, Wording]
        ] = {}  # the same, of rows whose next token was chosen at the last step

    def force(
        self, state: StepState, gated: Bool[Tensor, " rows"], behaviour: Int[Tensor, " rows"]
    ) -> tuple[Int[Tensor, " forced"], Int[Tensor, " forced"], Int[Tensor, " forced"], Float[Tensor, " forced"]]:
        """Choose the tokens of rows that are amid a wording, or begin one.

        Args:
            state: Before the token.
            gated: Where a wording begins; of a row that is amid one it says nothing.
            behaviour: Whose wording would begin.

        Returns:
            Places of the rows that are forced, their behaviours, their tokens, and KL(forced || base) of these in nats:
            minus the logarithm of the base's probability of all tokens that go on with a wording.
        """
        device = state.logits.device
        opens, which = torch.stack([gated.to(behaviour.dtype), behaviour]).tolist()  # one wait for the device
        self._go_on(state)
        places, begun, choices = [], [], []
        for place, row in enumerate(state.row_numbers):
            if row not in self._begun and not opens[place]:
                continue
            own, written = self._begun.get(row, (which[place], ()))
            choice = [token for token in self._next(own, written) if token < state.logits.shape[1]]
            if choice:
                places.append(place)
                begun.append((row, own, written))
                choices.append(choice)
        self._chosen = {row: (own, written) for row, own, written in begun}
        rows = uploaded(torch.tensor(places, dtype=torch.long), device)
        of_rows = uploaded(torch.tensor([own for _, own, _ in begun], dtype=torch.long), device)
        own_logits = state.logits[rows].float()
        chosen_from = torch.zeros(own_logits.shape, dtype=torch.bool)
        for number, choice in enumerate(choices):
            chosen_from[number, choice] = True
        logits = own_logits.masked_fill(~uploaded(chosen_from, device), -torch.inf)
        tokens = rows
        if places:
            uniforms = None if state.uniforms is None else state.uniforms[rows]
            tokens = choose_tokens(logits, state.sampling, uniforms)
        return rows, of_rows, tokens, own_logits.logsumexp(dim=-1) - logits.logsumexp(dim=-1)

    def _go_on(self, state: StepState) -> None:
        """Take up the tokens of wordings that were chosen at the step before: by now the host knows them."""
        if not self._chosen or not state.step:  # at step 0 a new batch begins
            return
        last = state.last_ids.tolist() if state.last_tokens is None else state.last_tokens
        for row, token in zip(state.row_numbers, last, strict=True):
            if row in self._chosen:
                own, written = self._chosen[row]
                self._begun[row] = own, (*written, token)
                if not self._next(*self._begun[row]):
                    del self._begun[row]

    def _next(self, behaviour: int, written: Wording) -> list[int]:
        """List the tokens that go on with a wording."""
        n = len(written)
        return sorted({one[n] for one in self._wordings[behaviour] if one[:n] == written and len(one) > n})
