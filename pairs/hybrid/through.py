"""Act through the sentence: from the token at which the gate opens to the sentence's end, with a dose that decays.

    dose(t) = strength x decay^t        t tokens after the gate opened, while the sentence goes on

A behaviour takes more than its first token. Behaviour and strength are those of the token at which the gate opened; the
gate is not asked again before the sentence has ended. A dose of less than a hundredth of the first is none, and ends it
too. Every token that is acted on counts as steered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...generation import StepState
from ...models.device_copies import DeviceCopies
from ...vectors.steering.sentence_ends import check_decay, tokens_of_dose


@dataclass(frozen=True, eq=False)
class Through:
    """How long, and how the dose decays."""

    decay: float  # from token to token: 1 keeps the dose, 0 is the first token alone
    ends_sentence: Bool[Tensor, " vocabulary"]  # tokens that end a sentence

    def __post_init__(self) -> None:
        check_decay(self.decay)

    @property
    def n_tokens(self) -> float:
        """How many tokens a dose lasts at most."""
        return tokens_of_dose(self.decay)

    def openings(self, tokens: Sequence[int], gated: Sequence[bool]) -> list[bool]:
        """Say of each token of a response whether the gate opened there, and did not just stay open.

        Args:
            tokens: Ids.
            gated: Where it was acted.
        """
        has_ended = self.ends_sentence[list(tokens)].tolist()
        opened, age = [], -1
        for place, is_open in enumerate(gated):
            goes_on = age >= 0 and not has_ended[place - 1] and age + 1 < self.n_tokens
            opened.append(is_open and not goes_on)
            age = age + 1 if goes_on else 0 if is_open else -1
        return opened


class OpenSentences:
    """The sentences that are being acted on, of the rows that are still being written."""

    def __init__(self, through: Through) -> None:
        self._decay, self._n_tokens = through.decay, through.n_tokens
        self._ends = DeviceCopies(through.ends_sentence)
        self._rows = self._age = self._behaviour = torch.empty(0, dtype=torch.long)
        self._first = torch.empty(0)

    def extended(
        self,
        state: StepState,
        gated: Bool[Tensor, " rows"],
        behaviour: Int[Tensor, " rows"],
        strength: Float[Tensor, " rows"],
    ) -> tuple[Bool[Tensor, " rows"], Int[Tensor, " rows"], Float[Tensor, " rows"]]:
        """Keep open what has opened.

        Args:
            state: Before the token; the rows of a response are told by their numbers, which differ.
            gated: Where the gate opens.
            behaviour: There; -1 elsewhere.
            strength: There; 0 elsewhere.

        Returns:
            Where to act, behaviour and dose.
        """
        if state.step == 0:  # a new batch
            self._rows, self._age = state.rows, torch.full_like(state.rows, -1)
            self._behaviour, self._first = behaviour, strength
        elif len(self._rows) != len(state.rows):  # rows that have ended left, the others stay in order
            has_left = ~torch.isin(self._rows, state.rows)
            remaining = has_left.long().argsort(stable=True)[: len(state.rows)]
            self._rows, self._age = self._rows[remaining], self._age[remaining]
            self._behaviour, self._first = self._behaviour[remaining], self._first[remaining]
        has_ended = self._ends.on(state.last_ids.device)[state.last_ids]
        is_within = (self._age >= 0) & ~has_ended & (self._age + 1 < self._n_tokens)
        opens = gated & ~is_within
        self._age = torch.where(is_within, self._age + 1, torch.where(opens, 0, -1))
        self._behaviour = torch.where(is_within, self._behaviour, behaviour)
        self._first = torch.where(is_within, self._first, strength)
        return is_within | opens, self._behaviour, self._first * self._decay ** self._age.clamp(min=0)
